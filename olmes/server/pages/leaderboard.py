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
    RepeatReading,
    Repeats,
)
from olmes.comparison import boards as ranking
from olmes.comparison.boards import BoardColumn
from olmes.comparison.pairs import pairwise
from olmes.records.aggregate import items_over
from olmes.records.record import Record
from olmes.records.schema import MetricScore, TaskResult
from olmes.records.shown_repeats import primary_repeats, readings
from olmes.stats import PairedDifference


def leaderboard(records: Sequence[Record]) -> Leaderboard:
    """Every board, and the runs on none with the reason."""
    boards, left_out = ranking.boards_of(records)
    return Leaderboard(
        boards=[board_numbers(board) for board in boards],
        not_ranked=[
            NotRanked(id=record.id, model=record.run.model.name, why=why)
            for record, why in left_out
        ],
    )


def board_numbers(board: ranking.Board) -> Board:
    """A board with the comparisons of its runs."""
    columns = board.columns()
    pairs = pairwise(board.records, board.ranked_by)
    return Board(
        title=board.title,
        version=board.version,
        items=board.items,
        demo_data=board.demo,
        standard=board.standard,
        official=board.official,
        ranked_by=board.ranked_by,
        order=board.order_in_words,
        runs=[ranked_run(place, board, columns) for place in range(len(board.records))],
        pairs=ranked_pairs(pairs.differences) if pairs.differences else None,
        not_compared=pairs.why_not,
    )


def ranked_run(place: int, board: ranking.Board, columns: Sequence[BoardColumn]) -> RankedRun:
    """A run on a board; its numbers in the units of the board's columns."""
    record = board.records[place]
    mean = next((column.scores[place] for column in columns if not column.name), None)
    return RankedRun(
        id=record.id,
        model=record.run.model.name,
        created=record.run.created,
        mean=mean_number(mean, record, board.mean_tasks) if mean else None,
        tasks={
            column.name: primary(record.tasks[column.name], column.scores[place])
            for column in columns
            if column.name
        },
        repeats={name: found for name, task in record.tasks.items() if (found := repeats_of(task))},
    )


def repeats_of(task: TaskResult) -> Repeats | None:
    """What several responses an item say of a task; None where each has one."""
    own = primary_repeats(task)
    if own is None or task.repeats is None:
        return None
    return Repeats(
        responses=task.repeats.n,
        complete=task.repeats.complete,
        run_sd=own.sd,
        readings=[
            RepeatReading(
                name=one.name,
                value=one.score.value,
                stderr=one.score.stderr,
                ci_low=one.score.ci_low,
                ci_high=one.score.ci_high,
                n=one.score.n,
                unit=task.score.unit,
                higher_is_better=task.score.higher_is_better,
            )
            for one in readings(own, task.repeats.k)
        ],
    )


def mean_number(score: MetricScore, record: Record, tasks: Sequence[str]) -> BoardMean:
    """The mean that runs are ranked by."""
    return BoardMean(
        value=score.value,
        stderr=score.stderr,
        ci_low=score.ci_low,
        ci_high=score.ci_high,
        n=score.n,
        items=items_over(record.tasks[name] for name in tasks),
        unit=score.unit,
        higher_is_better=score.higher_is_better,
    )


def primary(task: TaskResult, score: MetricScore) -> Primary:
    """The primary metric of a task."""
    return Primary(
        metric=task.primary,
        value=score.value,
        stderr=score.stderr,
        ci_low=score.ci_low,
        ci_high=score.ci_high,
        n=score.n,
        items=task.items,
        unfinished_thinking=task.share("unfinished_thinking"),
        thought_marks=task.share("thought_marks"),
        unit=score.unit,
        higher_is_better=score.higher_is_better,
    )


def ranked_pairs(
    found: Mapping[tuple[int, int], PairedDifference],
) -> list[RankedPair]:
    """The comparisons of a board."""
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
