"""The leaderboard as the API says it. The ranking is `olmes.comparison.boards`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from olmes.client.types import (
    Board,
    BoardMean,
    Leaderboard,
    NotRanked,
    Primary,
    RankedPair,
    RankedRun,
)
from olmes.comparison import boards as ranking
from olmes.records.record import Record
from olmes.records.schema import TaskResult
from olmes.stats import PairedDifference


def leaderboard(records: Sequence[Record]) -> Leaderboard:
    """Every board, and the runs on none with the reason."""
    boards, left_out = ranking.boards_of(records)
    return Leaderboard(
        boards=[
            Board(
                title=board.title,
                version=board.version,
                standard=board.standard,
                official=board.official,
                runs=[ranked_run(record) for record in board.records],
                pairs=ranked_pairs(ranking.pairwise(board.records)),
            )
            for board in boards
        ],
        not_ranked=[
            NotRanked(id=record.id, model=record.run.model.name, why=why)
            for record, why in left_out
        ],
    )


def ranked_run(record: Record) -> RankedRun:
    """A run on a board."""
    mean = ranking.mean_of(record)
    return RankedRun(
        id=record.id,
        model=record.run.model.name,
        created=record.run.created,
        mean=BoardMean(
            value=mean.value,
            stderr=mean.stderr,
            ci_low=mean.ci_low,
            ci_high=mean.ci_high,
            n=mean.n,
            unit=ranking.unit_of(record),
            higher_is_better=record.run.higher_is_better,
        ),
        tasks={name: primary(task) for name, task in record.tasks.items()},
    )


def primary(task: TaskResult) -> Primary:
    """The primary metric of a task."""
    score = task.score
    return Primary(
        metric=task.primary,
        value=score.value,
        stderr=score.stderr,
        ci_low=score.ci_low,
        ci_high=score.ci_high,
        n=score.n,
        unit=score.unit,
        higher_is_better=score.higher_is_better,
    )


def ranked_pairs(
    found: Mapping[tuple[int, int], PairedDifference] | None,
) -> list[RankedPair] | None:
    """The comparisons of a board."""
    if found is None:
        return None
    return [
        RankedPair(
            a=a,
            b=b,
            n=one.n,
            clusters=one.clusters,
            baseline=one.baseline,
            candidate=one.candidate,
            difference=one.difference,
            stderr=one.stderr,
            ci_low=one.ci_low,
            ci_high=one.ci_high,
            p_value=one.p_value,
            p_adjusted=one.p_adjusted,
            test=one.test,
            wins=one.wins,
            losses=one.losses,
            margin=one.margin,
            is_share=one.is_share,
            higher_is_better=one.higher_is_better,
            verdict=one.verdict,
            sentence=one.sentence,
            detectable=one.detectable,
            needed=one.needed,
        )
        for (a, b), one in found.items()
    ]
