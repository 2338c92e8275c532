"""Counts of training data beside held-out tasks: they are written down, and are no look.

How many items of a held-out task stand in a data set is no score and shows no item. Counts of many
small data sets would tell which rows do, though: each count is a line of the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from olmes.seal.ledger import Entry, Ledger
from olmes.seal.look import who
from olmes.types import JsonObject

EVENT = "overlap-counted"
"""The ledger's event; it has no family, and no model had a look by it."""


def count_overlap(
    store: Path, tasks: Mapping[str, str], counts: Sequence[JsonObject], *, demo: bool
) -> Entry:
    """Write down how much of held-out tasks some data sets hold, before anybody sees it.

    Args:
        store: whose ledger it is written into.
        tasks: the held-out tasks, each with the content hash of its data.
        counts: one a data set and task: `data_set`, its `data_hash`, `rows`, `task`, `n`, `overlapped`.
        demo: whether all of the tasks' data are demo data.

    Raises:
        OlmesError: the chain is broken, or the store cannot be written.
    """
    return Ledger(store).append(
        EVENT,
        "",
        {
            "who": who(),
            "asked_by": "person",
            "reason": "",
            "tasks": sorted(tasks),
            "data": dict(sorted(tasks.items())),
            "sample_data": demo,
            "overlaps": list(counts),
        },
    )


def overlap_words(entry: Entry) -> str:
    """What a line counted: `items in train.jsonl: 2 of 12 of echo, 0 of 300 of ifeval_ood`."""
    counts = entry.get("overlaps")
    by_set: dict[str, list[str]] = {}
    for one in counts if isinstance(counts, list) else ():
        if isinstance(one, dict):
            said = f"{one.get('overlapped')} of {one.get('n')} of {one.get('task')}"
            by_set.setdefault(str(one.get("data_set")), []).append(said)
    return "; ".join(f"items in {name}: {', '.join(said)}" for name, said in by_set.items())
