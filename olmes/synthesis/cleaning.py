"""Prompts that overlap with evaluations, taken out before anything more is asked about them.

The rule is that of Tülu 3, section 3.2. A prompt that overlaps with an item of a held-out task stays:
that it is missing would say what the item asks. How many of these items the written rows hold is
counted, and the count is a line of the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from olmes.decontamination.against import Against, find_evaluations
from olmes.decontamination.look_through import LookThrough, count_held_out
from olmes.decontamination.scan import Index
from olmes.rows.sources import find_source
from olmes.runs.planning import tasks_of
from olmes.seal.ledger import Ledger
from olmes.synthesis.card import Section
from olmes.synthesis.recipe import Decontamination
from olmes.synthesis.session import Say
from olmes.types import JsonObject

NOTHING = Against((), {})


class Cleaning:
    """The evaluations that a recipe names, and what was found of them.

    Args:
        table: of the recipe.
        store: whose ledger counts of held-out tasks are written into.
        say: gets a line about where data come from.

    Raises:
        OlmesError: a name is unknown, there is nothing to compare with, or the ledger is broken.
    """

    def __init__(self, table: Decontamination, store: Path, *, say: Say) -> None:
        self.store = store
        self.against = NOTHING
        if table.against:
            ledger = Ledger(store)
            self.against = find_evaluations(
                [tasks_of(name) for name in table.against],
                table.data,
                ("question",),
                say=say,
                looks=ledger.entries(),
            )
            if any(one.held_out for one in self.against.evaluations):
                ledger.check()
        self.open = [one for one in self.against.evaluations if not one.closed]
        self.index = Index.of(self.open)
        self.removed: Counter[str] = Counter()
        """Prompts by task that were taken out because of its items."""

    def keep(self, prompts: Sequence[str | Sequence[str]]) -> list[int]:
        """The places of the prompts, texts or turns, that overlap with no item that may be shown."""
        kept = []
        for place, prompt in enumerate(prompts):
            turns = [prompt] if isinstance(prompt, str) else prompt
            tasks = {match.task for match in self.index.matches(place + 1, turns)}
            self.removed.update(tasks)
            if not tasks:
                kept.append(place)
        return kept

    def found(self, rows: Path) -> JsonObject:
        """Counts: what was taken out, and what the written rows still hold, by task.

        Raises:
            OlmesError: the ledger is broken, or cannot be written.
        """
        counts: JsonObject = {
            "against": [
                {
                    "task": one.task,
                    "held_out": list(one.held_out),
                    "data_hash": one.data_hash,
                    "origin": one.origin,
                    "n": len(one.items),
                    "removed_prompts": None if one.closed else self.removed[one.task],
                    "overlapped": 0,
                }
                for one in self.against.evaluations
            ],
            "skipped": dict(self.against.skipped),
        }
        if self.against.evaluations and rows.stat().st_size:
            way = LookThrough(against=self.against, processes=1)
            found = way.findings([find_source(str(rows))])
            count_held_out(self.store, found)
            [data_set] = found.data_sets
            for one, finding in zip(counts["against"], data_set.findings, strict=True):
                one["overlapped"] = len(finding.overlapped)
        return counts


def overlap_section(overlap: JsonObject) -> Section:
    """What the prompts had in common with evaluations."""
    if not overlap["against"]:
        return Section(title="Overlap with evaluations", text=("Nothing was compared.",))
    return Section(
        title="Overlap with evaluations",
        text=(
            "An item overlaps where more than half of its tokens stand in runs of 8 that a prompt has "
            "too (Tülu 3, section 3.2). Prompts that overlap are left out, but for those that overlap "
            "with held-out or gated items: these are counted in the rows that were written.",
        ),
        columns=("task", "items", "prompts left out", "items in the rows"),
        rows=tuple(
            (
                one["task"],
                one["n"],
                "counted only" if one["removed_prompts"] is None else one["removed_prompts"],
                one["overlapped"],
            )
            for one in overlap["against"]
        ),
    )
