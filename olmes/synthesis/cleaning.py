"""Prompts that overlap with evaluations, taken out before anything more is asked about them.

The rule is that of Tülu 3, section 3.2. Items of held-out tasks are counted and nothing else: which
prompts they overlap with would say what they ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from olmes.data.resolve import resolve
from olmes.decontamination.evaluations import Evaluation, evaluation
from olmes.decontamination.matches import CONTAMINATED, MATCHED, NGRAM
from olmes.decontamination.scan import Index
from olmes.errors import OlmesError
from olmes.runs.planning import tasks_of
from olmes.seal.held_out import held_out_tasks
from olmes.synthesis.card import Section
from olmes.synthesis.recipe import Decontamination
from olmes.synthesis.session import Say
from olmes.types import JsonObject


@dataclass
class Cleaning:
    """The evaluations that a recipe names, and what was found of them."""

    evaluations: tuple[Evaluation, ...]
    skipped: dict[str, str]
    """By task, why nothing was compared with it."""
    compared: int = 0
    overlapped: dict[str, set[int]] = field(default_factory=dict)
    """By task, places of the items that a prompt overlaps with."""
    prompts: dict[str, int] = field(default_factory=dict)
    """By task, how many prompts overlap with an item."""

    def __post_init__(self) -> None:
        self.index = Index.of(self.evaluations)
        self.closed = {one.task for one in self.evaluations if one.held_out}

    def keep(self, prompts: Sequence[str | Sequence[str]]) -> list[int]:
        """The places of the prompts, texts or turns, that overlap with no item that may be shown."""
        kept = []
        for place, prompt in enumerate(prompts):
            self.compared += 1
            tasks = set()
            turns = [prompt] if isinstance(prompt, str) else prompt
            for match in self.index.matches(self.compared, turns) if self.evaluations else ():
                self.overlapped.setdefault(match.task, set()).add(match.item)
                tasks.add(match.task)
            for task in tasks:
                self.prompts[task] = self.prompts.get(task, 0) + 1
            if tasks <= self.closed:
                kept.append(place)
        return kept

    def to_json(self) -> JsonObject:
        """Counts, by task."""
        return {
            "rule": {"ngram": NGRAM, "matched": MATCHED, "contaminated": CONTAMINATED},
            "prompts": self.compared,
            "skipped": dict(self.skipped),
            "evaluations": [
                {
                    "task": one.task,
                    "held_out": list(one.held_out),
                    "data_hash": one.data_hash,
                    "n": len(one.items),
                    "overlapped": len(self.overlapped.get(one.task, ())),
                    "prompts": self.prompts.get(one.task, 0),
                    "removed": one.task not in self.closed,
                }
                for one in self.evaluations
            ],
        }


def cleaning_of(table: Decontamination, *, say: Say) -> Cleaning:
    """The evaluations of a recipe; a task without data is skipped, with the reason.

    Raises:
        OlmesError: a name is unknown, or there is nothing to compare with.
    """
    found: dict[str, Evaluation] = {}
    skipped: dict[str, str] = {}
    folder = Path(table.data) if table.data else None
    for name in table.against:
        suite, tasks = tasks_of(name)
        datasets = {}
        for task in tasks:
            if task.name in found or task.name in skipped:
                continue
            try:
                datasets[task.name] = resolve(task, folder, say=say)
            except OlmesError as error:
                skipped[task.name] = str(error)
        there = [task for task in tasks if task.name in datasets]
        held = held_out_tasks(there, suite, datasets)
        for task in there:
            found[task.name] = evaluation(task, datasets[task.name], held.get(task.name, ()))
    if table.against and not found:
        reasons = " ".join(f"{name}: {why}" for name, why in skipped.items())
        raise OlmesError(f"there is nothing to compare with: {reasons}")
    return Cleaning(tuple(found.values()), skipped)


def overlap_section(cleaning: Cleaning) -> Section:
    """What the prompts had in common with evaluations."""
    found = cleaning.to_json()
    if not cleaning.evaluations:
        return Section(title="Overlap with evaluations", text=("Nothing was compared.",))
    return Section(
        title="Overlap with evaluations",
        text=(
            "An item overlaps where more than half of its tokens stand in runs of 8 that a prompt has "
            "too. Prompts that overlap with development items are left out; items of held-out tasks "
            "are counted.",
        ),
        columns=("task", "items", "overlapped", "prompts", "prompts left out"),
        rows=tuple(
            (
                one["task"],
                one["n"],
                one["overlapped"],
                one["prompts"],
                one["prompts"] if one["removed"] else "held out: counted only",
            )
            for one in found["evaluations"]
        ),
    )
