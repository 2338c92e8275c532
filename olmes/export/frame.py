"""Records as a pandas data frame: one row a number, or one row a response."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.comparison.eligibility import asked, item_set
from olmes.comparison.overlap import TaskOverlap, run_overlap
from olmes.records.record import Record, records_in
from olmes.records.schema import Score, TaskResult
from olmes.records.shown import THOUGHTS
from olmes.records.shown_repeats import readings
from olmes.types import JsonObject

if TYPE_CHECKING:
    import pandas

COUNTS = ("limit", "looks_before", "overlapped")
HALVES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
ESTIMATE = ("value", "stderr", "ci_low", "ci_high", "n")


def load(*places: Path | str, samples: bool = False) -> pandas.DataFrame:
    """Records as a data frame.

    Args:
        places: folders of runs, or folders that hold some.
        samples: one row a response instead of one row a number; samples under seal are left out.

    Returns:
        Numbers: a row for each run, task, sub-task ('' for the whole task) and metric, with value,
        stderr, ci_low, ci_high, n, and what the number rests on (model, fingerprint, suite,
        formulation_hash, data_hash, data origin, standard, limit, items that were asked of data_items,
        item_set, complete, demo_data, the shares of responses with unfinished_thinking and with
        thought_marks, held_out, and for held-out runs looks_before and dev_then, the
        development score at that time; overlapped: how many of the task's items overlap with the data
        of the model's trainings, missing where nobody compared them, and on rows of the primary metric
        value_without_overlap, the value over the other items); unit and higher_is_better say what a
        value is, n of how many values (responses or their parts) it is the mean. Several responses an
        item have rows of their own, with metrics such as `exact_match/pass@4` and `exact_match/run_sd`.
        Two rows with one data_hash are over the same items where item_set is the same; '' is all.
        Samples: a row for each response, with run, model, task and the fields of the samples file;
        a metric `M` is the column `values.M`.

    A record that was changed after its look was written down is warned of (`UserWarning`).

    Raises:
        OlmesError: a place holds no record.
    """
    records = [record for place in places for record in records_in(Path(place))]
    for said in filter(None, (record.altered for record in records)):
        warnings.warn(said, stacklevel=2)
    return frame_of(sample_rows(records)) if samples else number_frame(records)


def frame_of(rows: Iterable[JsonObject]) -> pandas.DataFrame:
    """Rows as a data frame; half of a surrogate pair, which a column of text cannot hold, as U+FFFD."""
    import pandas

    found = list(rows)
    try:
        return pandas.DataFrame(found)
    except UnicodeEncodeError:
        return pandas.DataFrame([{key: whole(cell) for key, cell in row.items()} for row in found])


def whole(cell: Any) -> Any:
    """A cell whose text UTF-8 can hold."""
    return cell.translate(HALVES) if isinstance(cell, str) else cell


def number_frame(records: Iterable[Record]) -> pandas.DataFrame:
    """One row a number; counts that not every run has are whole numbers still."""
    frame = frame_of(number_rows(records))
    return frame.astype({name: "Int64" for name in COUNTS if name in frame})


def number_rows(records: Iterable[Record]) -> Iterator[JsonObject]:
    """One row a run, task, sub-task and metric."""
    for record in records:
        overlap = run_overlap(record).tasks
        for name, task in record.tasks.items():
            one = overlap.get(name)
            about = about_task(record, name, task, one)
            without = one.without.value if one and one.without else None
            groups: dict[str, Mapping[str, Score]] = {"": task.metrics}
            groups |= {subtask: found.metrics for subtask, found in task.subtasks.items()}
            for subtask, metrics in groups.items():
                for metric, score in metrics.items():
                    of = task.metrics.get(metric)
                    yield {
                        **about,
                        "subtask": subtask,
                        "metric": metric,
                        "primary": metric == task.primary,
                        **{field: getattr(score, field) for field in ESTIMATE},
                        "value_without_overlap": without
                        if metric == task.primary and not subtask
                        else None,
                        "unit": of.unit if of else "share",
                        "higher_is_better": of.higher_is_better if of else True,
                    }
            yield from repeat_rows(about, task)


def repeat_rows(about: JsonObject, task: TaskResult) -> Iterator[JsonObject]:
    """One row a reading of several responses an item: `exact_match/pass@4`, `exact_match/run_sd`."""
    if task.repeats is None:
        return
    for metric, found in task.repeats.metrics.items():
        of = task.metrics[metric]
        told = {"unit": of.unit, "higher_is_better": of.higher_is_better}
        for one in readings(found):
            numbers = {field: getattr(one.score, field) for field in ESTIMATE}
            named = {"subtask": "", "metric": f"{metric}/{one.name}", "primary": False}
            yield {**about, **named, **numbers, **told}
        noise = {**dict.fromkeys(ESTIMATE), "value": found.sd, "n": len(found.means)}
        named = {"subtask": "", "metric": f"{metric}/run_sd", "primary": False}
        yield {**about, **named, **noise, "unit": of.unit, "higher_is_better": False}


def about_task(
    record: Record, name: str, task: TaskResult, overlap: TaskOverlap | None
) -> JsonObject:
    """What every number of a task rests on."""
    run, held = record.run, record.run.held_out
    return {
        "run": record.id,
        "created": run.created,
        "model": run.model.name,
        "fingerprint": run.model.fingerprint,
        "suite": run.suite.name if run.suite else "",
        "task": name,
        "formulation_hash": task.formulation_hash,
        "standard": task.standard,
        "data_hash": task.data.content_hash,
        "data_origin": task.data.origin,
        "limit": run.limit,
        "items": asked(run, task),
        "data_items": task.data.n,
        "item_set": item_set(run, [name]),
        "complete": record.complete,
        "demo_data": task.demo,
        **{flag: task.share(flag) for flag in THOUGHTS},
        "held_out": held is not None and name in held.tasks,
        "looks_before": held.looks_before if held else None,
        "dev_then": held.dev.value if held and held.dev else None,
        "overlapped": overlap.overlapped if overlap and overlap.compared else None,
    }


def sample_rows(records: Iterable[Record]) -> Iterator[JsonObject]:
    """One row a response; a nested field's name has its parts joined by dots."""
    for record in records:
        for name in record.tasks:
            if record.sealed(name):
                continue
            for row in record.samples(name):
                flat: JsonObject = {
                    key: cell for key, cell in row.items() if key not in ("values", "response")
                }
                flat |= {f"values.{metric}": value for metric, value in row["values"].items()}
                flat |= {f"response.{key}": value for key, value in (row["response"] or {}).items()}
                model = record.run.model.name
                yield {"run": record.id, "model": model, "task": name, **flat}
