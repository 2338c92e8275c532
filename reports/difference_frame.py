"""What the pages say between runs, as a data frame: differences, ranks, best checkpoints, gaps, slopes.

Numbers of single runs are `olmes.load`'s. Everything here is taken from what the pages are made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from olmes.comparison.boards import Board, boards_of
from olmes.comparison.compare import ComparedRun, Comparison, compare_runs
from olmes.comparison.generalization import (
    Generalization,
    OverModels,
    SideBySide,
    generalization,
)
from olmes.comparison.halves import HalfScore
from olmes.comparison.model_scores import ReadModel
from olmes.comparison.pair_texts import title_of
from olmes.comparison.pairs import open_ranks, pairwise, verdict_table
from olmes.errors import OlmesError
from olmes.export.columns import DIFFERENCES
from olmes.export.formats import Format, export_rows
from olmes.export.frame import frame_of, records_at, typed
from olmes.records.record import Record
from olmes.reports.checkpoint_scores import checkpoints_of
from olmes.reports.checkpoint_series import Series, series_of, steps_of
from olmes.stats import Difference, Estimate, PairedDifference, Ratio, SuiteDifference
from olmes.stats.verdicts import OPPOSITE
from olmes.types import JsonObject, Unit

if TYPE_CHECKING:
    import pandas

View = Literal["comparison", "leaderboard", "checkpoints", "generalization"]
WHOLE = ("n", "wins", "losses")


def differences(
    *places: Path | str, view: View = "leaderboard", base: str | None = None
) -> pandas.DataFrame:
    """What a page says between runs, as a data frame.

    Args:
        places: folders of runs, or folders that hold some; two runs for a
            comparison, the baseline first.
        view: the page: `comparison` (task by task, p-values corrected over the tasks), `leaderboard`
            (every pair of a board by the number it ranks by, corrected over the pairs, and the ranks),
            `checkpoints` (best and latest of one training) or `generalization`.
        base: the model that changes of a generalization are counted from.

    Returns:
        A row a number; the columns are always the same and in docs/analysis.md
        (`olmes.export.columns.DIFFERENCES`). A difference is `run` less `other_run`, in `unit`.

    Raises:
        OlmesError: a place holds no record, or the runs make no such page.
    """
    return difference_frame_of(difference_rows(records_at(places), view, base))


def write_differences(
    records: Sequence[Record],
    view: View,
    form: Format,
    output: Path | None,
    base: str | None = None,
) -> str | None:
    """The same as `csv`, `json` or `parquet`; written to `output`, or returned as text.

    Raises:
        OlmesError: as `differences`; `parquet` without a file to write.
    """
    return export_rows(difference_rows(records, view, base), difference_frame_of, form, output)


def write_found(found: Comparison | Generalization, form: Format, output: Path) -> None:
    """What a comparison or a generalization found as `csv`, `json` or `parquet`."""
    rows = (
        whole_rows("comparison", compared_rows(found))
        if isinstance(found, Comparison)
        else whole_rows("generalization", generalization_rows(found))
    )
    export_rows(rows, difference_frame_of, form, output)


def difference_frame_of(rows: Iterable[JsonObject]) -> pandas.DataFrame:
    """Rows with every column of `columns.DIFFERENCES`."""
    return typed(frame_of(rows), DIFFERENCES, WHOLE)


def difference_rows(
    records: Sequence[Record], view: View, base: str | None = None
) -> Iterator[JsonObject]:
    """The rows; every one has every column."""
    if view == "comparison":
        if len(records) != 2:
            raise OlmesError(
                f"a comparison is of two runs, not {len(records)}; name the baseline, then the "
                "candidate."
            )
        found = compared_rows(compare_runs(records[0], records[1]))
    elif view == "leaderboard":
        found = (row for board in boards_of(records)[0] for row in board_rows(board))
    elif view == "checkpoints":
        found = checkpoint_rows(records)
    else:
        found = generalization_rows(generalization(records, base=base))
    yield from whole_rows(view, found)


def whole_rows(view: View, rows: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """Rows with every column."""
    for row in rows:
        yield dict.fromkeys(DIFFERENCES) | {"page": view, "task": "", "verdict": ""} | row


def compared_rows(found: Comparison) -> Iterator[JsonObject]:
    """Two runs, task by task, then their means."""
    a, b = found.runs
    about = {"kind": "difference", "of": "", **who(b), **who(a, "other_")}
    for task in found.tasks:
        if task.difference:
            yield {**about, "task": task.name, **paired(task.difference, task.unit)}
    for unpaired in found.unpaired:
        yield {
            **about,
            "task": unpaired.name,
            **(estimated(unpaired.difference) if unpaired.difference else {}),
            "unit": unpaired.unit,
            "higher_is_better": unpaired.higher_is_better,
            "score": unpaired.b.value,
            "other_score": unpaired.a.value,
            "paired": False,
        }
    if found.suite and len(found.suite.tasks) > 1:
        mean: SuiteDifference = found.suite.difference
        yield {
            **about,
            **estimated(mean),
            "unit": "share" if mean.is_share else "number",
            "higher_is_better": mean.higher_is_better,
            "p": mean.p_value,
            "verdict": mean.verdict,
            "score": found.suite.candidate,
            "other_score": found.suite.baseline,
            "paired": True,
        }


def board_rows(board: Board) -> Iterator[JsonObject]:
    """The ranks of a board, then every pair of its runs, both ways round."""
    columns = board.columns()
    ranked = next(one for one in columns if list(one.tasks) == board.ranked_by)
    found = pairwise(board.records, board.ranked_by).differences
    about = {
        "of": f"{board.title} {board.version}",
        "task": ranked.name,
        "unit": ranked.unit,
        "higher_is_better": ranked.higher_is_better,
    }
    verdicts = verdict_table(found, len(board.records)) if found else []
    pairs: list[JsonObject] = []
    for (one, other), difference in found.items():
        row = paired(difference, ranked.unit)
        turned = mirrored(row)
        for left, right, cells in ((one, other, row), (other, one, turned)):
            names = {**whose(board.records[left]), **whose(board.records[right], "other_")}
            pairs.append({**about, "kind": "difference", **names, **cells})
    for place, record in enumerate(board.records):
        low, high = open_ranks(verdicts[place]) if verdicts else (None, None)
        yield {
            **about,
            "kind": "rank",
            **whose(record),
            "value": place + 1,
            "ci_low": low,
            "ci_high": high,
            "unit": "number",
            "higher_is_better": False,
            "score": ranked.values[place],
        }
    yield from pairs


def checkpoint_rows(records: Sequence[Record]) -> Iterator[JsonObject]:
    """The best and the latest checkpoint of a training, by its mean and each task."""
    known = [(float(step), one) for one in records if (step := one.run.model.step) is not None]
    if not known:
        raise OlmesError(
            "none of these runs says at which training step its model was written; give the runs of "
            "a training's checkpoints."
        )
    suite, tasks, unseen = series_of(checkpoints_of(known)[0])
    for one in (*([suite] if suite else []), *tasks, *unseen):
        yield from standing_rows(one)


def standing_rows(one: Series) -> Iterator[JsonObject]:
    """The best and the latest checkpoint of one series."""
    last = one.points[-1]
    about = {
        "of": last.record.run.model.family or "",
        "task": one.task,
        "unit": one.unit,
        "higher_is_better": one.metric.higher_is_better,
    }
    if (best := one.best) is not None:
        own = {**about, **whose(one.points[best.index].record), "score": one.best_score}
        ends = {"ci_low": best.ci_low, "ci_high": best.ci_high}
        yield {**own, "kind": "best checkpoint", "value": best.corrected, **ends, "n": best.n}
        yield {**own, "kind": "added by the choice", "value": best.bias, "n": best.checkpoints}
    if one.alarm is not None:
        fall = one.alarm.fall
        low, high = fall.simultaneous
        since = one.points[steps_of(one.points).index(fall.since)]
        yield {
            **about,
            "kind": "latest checkpoint",
            **whose(last.record),
            **whose(since.record, "other_"),
            "value": fall.difference,
            "ci_low": low,
            "ci_high": high,
            "n": fall.n,
            "p": fall.p_adjusted,
            "verdict": fall.verdict,
            "score": last.score.value,
            "other_score": since.score.value,
            "paired": fall.paired,
        }


def generalization_rows(found: Generalization) -> Iterator[JsonObject]:
    """Development and unseen scores, how far both moved from the base, and what carried over."""
    base = found.models[found.base.index]
    for pair in (*found.pairs, found.suites):
        if pair.anything:
            of = title_of(pair)
            for model, row in zip(found.models, pair.rows, strict=True):
                for cells in model_rows(row, base):
                    yield {"of": of, **whose_model(model), **cells}
            yield from ({"of": of, **cells} for cells in line_rows(pair))


def model_rows(row: SideBySide, base: ReadModel) -> Iterator[JsonObject]:
    """One model on one pair."""
    halves: dict[str, HalfScore | None] = {
        "dev": row.dev,
        "unseen": row.unseen,
        "rewritten": row.rewritten,
    }
    for kind, half in halves.items():
        if half:
            about = {"unit": half.unit, "higher_is_better": half.higher_is_better}
            runs = ", ".join(dict.fromkeys(half.runs.values()))
            yield {"kind": kind, **about, **estimated(half), "n": half.n, "run": runs}
            if chosen := half.corrected:
                ends = {"ci_low": chosen.ci_low, "ci_high": chosen.ci_high, "n": chosen.checkpoints}
                yield {"kind": f"{kind}, corrected", **about, "value": chosen.value, **ends}
    unit: Unit = row.dev.unit if row.dev else "share"
    if change := row.change:
        against = whose_model(base, "other_")
        sides = (("change on dev", change.dev), ("change on unseen", change.unseen))
        for kind, side in sides:
            more = {"unit": side.unit, "n": side.n, "paired": side.paired}
            yield {"kind": kind, **against, **gained(side, side.unit), **more}
        for kind, one, its in (
            ("dev change less unseen change", change.difference, change.dev.unit),
            ("the same in log-odds", change.log_odds, "number"),
            ("share of dev on unseen", change.carried, "number"),
        ):
            if one:
                yield {"kind": kind, **against, **gained(one, its)}
    if row.gap:
        yield {"kind": "dev less unseen", **gained(row.gap, unit)}
    if row.remembered and row.unseen:
        yield {"kind": "unseen less rewritten", **gained(row.remembered, row.unseen.unit)}


def line_rows(pair: OverModels) -> Iterator[JsonObject]:
    """The line through the models, and the order they stand in."""
    line, ranks = pair.carried.carry_over, pair.carried.ranks
    about = {"unit": "number", "higher_is_better": True, "n": line.checkpoints}
    if line.slope is not None:
        ends = {"ci_low": line.ci_low, "ci_high": line.ci_high}
        yield {"kind": "slope", **about, "value": line.slope, **ends}
    if line.reliability is not None:
        yield {"kind": "reliability", **about, "value": line.reliability}
    if ranks is not None:
        ends = {"ci_low": ranks.ci_low, "ci_high": ranks.ci_high}
        yield {"kind": "rank order", **about, "value": ranks.tau, **ends}


def paired(found: PairedDifference, unit: Unit) -> JsonObject:
    """A difference item by item, candidate less baseline."""
    return {
        "value": found.difference,
        "stderr": found.stderr,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "n": found.n,
        "unit": unit,
        "higher_is_better": found.higher_is_better,
        "p": found.p_adjusted,
        "verdict": found.verdict,
        "score": found.candidate,
        "other_score": found.baseline,
        "wins": found.wins,
        "losses": found.losses,
        "paired": True,
    }


def mirrored(row: JsonObject) -> JsonObject:
    """The same difference from the other run's side."""
    low, high = row["ci_low"], row["ci_high"]
    return {
        **row,
        "value": -row["value"],
        "ci_low": None if high is None else -high,
        "ci_high": None if low is None else -low,
        "verdict": OPPOSITE.get(row["verdict"], row["verdict"]),
        "score": row["other_score"],
        "other_score": row["score"],
        "wins": row["losses"],
        "losses": row["wins"],
    }


def estimated(found: Difference | Estimate) -> JsonObject:
    """A number with its error and interval."""
    return {
        "value": found.value,
        "stderr": found.stderr,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
    }


def gained(found: Difference | Ratio, unit: str) -> JsonObject:
    """A change of which more is better, whatever the metric's direction."""
    cells = {"value": found.value, "ci_low": found.ci_low, "ci_high": found.ci_high}
    if isinstance(found, Difference):
        cells["stderr"] = found.stderr
    return {**cells, "unit": unit, "higher_is_better": True}


def who(run: ComparedRun, prefix: str = "") -> JsonObject:
    """A run of a comparison."""
    return {f"{prefix}run": run.id, f"{prefix}model": run.name}


def whose(record: Record, prefix: str = "") -> JsonObject:
    """A run and its model."""
    model = record.run.model
    return {f"{prefix}run": record.id, f"{prefix}model": model.name, f"{prefix}step": model.step}


def whose_model(model: ReadModel, prefix: str = "") -> JsonObject:
    """A model of which several runs were read."""
    runs = ", ".join(model.runs)
    return {f"{prefix}run": runs, f"{prefix}model": model.name, f"{prefix}step": model.step}
