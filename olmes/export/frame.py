"""Records as a pandas data frame: one row a number, or one row a response."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.export.columns import FLOATS, NUMBERS, WHOLE
from olmes.export.number_rows import number_rows
from olmes.records.record import Record, records_in
from olmes.types import JsonObject

if TYPE_CHECKING:
    import pandas

HALVES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def load(*places: Path | str, samples: bool = False) -> pandas.DataFrame:
    """Records as a data frame.

    Args:
        places: folders of runs, or folders that hold some.
        samples: one row a response instead of one row a number; samples under seal are left out.

    Returns:
        Numbers: a row for each run (task '', metric `mean`: its mean, counts and cost), then one for
        each task, sub-task ('' for the whole task) and metric, with value, stderr, ci_low, ci_high, n,
        and what the number rests on. The columns are always the same and in docs/analysis.md
        (`olmes.export.columns.NUMBERS`). Several responses an item have rows of their own, with metrics
        such as `exact_match/pass@4` and `exact_match/run_sd`. Two rows with one data_hash are over the
        same items where item_set is the same; '' is all.
        Samples: a row for each response, with run, model, task and the fields of the samples file;
        a metric `M` is the column `values.M`.

    A record that was changed after its look was written down is warned of (`UserWarning`).

    Raises:
        OlmesError: a place holds no record.
    """
    records = records_at(places)
    return frame_of(sample_rows(records)) if samples else number_frame_of(number_rows(records))


def records_at(places: Iterable[Path | str]) -> list[Record]:
    """The records of some places, with a warning of each that was changed after its look."""
    records = [record for place in places for record in records_in(Path(place))]
    for said in filter(None, (record.altered for record in records)):
        warnings.warn(said, stacklevel=3)
    return records


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


def number_frame_of(rows: Iterable[JsonObject]) -> pandas.DataFrame:
    """Rows of numbers with every column of `columns.NUMBERS`."""
    return typed(frame_of(rows), NUMBERS, WHOLE)


def typed(
    frame: pandas.DataFrame, columns: Iterable[str], whole: Iterable[str]
) -> pandas.DataFrame:
    """The frame with these columns; counts and steps stay whole numbers where some rows have none."""
    frame = frame.reindex(columns=list(columns))
    kinds = dict.fromkeys(whole, "Int64")
    for name in ("step", "other_step"):
        if name in frame:
            steps = frame[name].dropna()
            kinds[name] = "Int64" if all(float(step).is_integer() for step in steps) else "float64"
    kinds |= {name: "float64" for name in FLOATS if name in frame}
    return frame.astype(kinds)


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
