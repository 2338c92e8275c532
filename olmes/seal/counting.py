"""How many looks went before: in this store, and in every other that this machine remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from olmes.models.checkpoint.names import of_a_training
from olmes.seal.known_stores import looks_elsewhere
from olmes.seal.ledger import Entry

LOOKS = ("run", "unseal", "show", "check", "score")
"""Ledger events that are looks."""
BY_A_PERSON = ("show", "check")
"""Looks at items without a model: whoever read them may use them for any."""


@dataclass(frozen=True, slots=True)
class LooksBefore:
    """The looks that a model's family had had."""

    here: int
    elsewhere: int
    """In other stores, those that are gone among them."""

    @property
    def fields(self) -> dict[str, int]:
        """What a line of the ledger says of them."""
        return {"looks_before": self.here + self.elsewhere, "elsewhere": self.elsewhere}


def count_looks(
    store: Path,
    entries: Sequence[Entry],
    name: str,
    fingerprint: str,
    lineage: Iterable[Mapping[str, Any]] = (),
) -> LooksBefore:
    """The looks before one that is about to be taken.

    Args:
        store: whose ledger the look will be in.
        entries: of that ledger.
        name: the family; '' for a look without a model.
        fingerprint: of the weights.
        lineage: of the model.
    """
    ancestors = trainings(lineage)
    elsewhere = looks_elsewhere(store, entries)
    return LooksBefore(
        len(looks_of(entries, name, fingerprint, ancestors)),
        len(looks_of(elsewhere, name, fingerprint, ancestors)),
    )


def looks_of(
    entries: Iterable[Entry], name: str, fingerprint: str, ancestors: Iterable[str] = ()
) -> list[Entry]:
    """The looks a model's family has had.

    Under its name, at the same weights under another, under the name of a training that its lineage
    names, and those of people who read items (`BY_A_PERSON`). A look at demo data shows nothing of
    the benchmark and does not count.
    """
    families = (name, *ancestors)
    return [
        entry
        for entry in entries
        if entry.get("event") in LOOKS
        and not entry.get("sample_data")
        and (
            entry.get("event") in BY_A_PERSON
            or entry.get("family") in families
            or entry.get("fingerprint") == fingerprint
        )
    ]


def trainings(lineage: Iterable[Mapping[str, Any]]) -> set[str]:
    """The trainings that a lineage names: their looks are looks of what was made from them.

    A base without a training is not one: every model of the same base would be of one family.
    """
    steps = [step for step in lineage if isinstance(step, Mapping)]
    named = [step.get("training") for step in steps]
    named += [training_of(step.get("base")) for step in steps]
    return {one for one in named if isinstance(one, str) and one}


def training_of(base: object) -> str:
    """The family of a checkpoint by its path, as its looks name it; '' for what is none."""
    path = PurePosixPath(base) if isinstance(base, str) else None
    found = of_a_training(path.name) if path else None
    if path is None or found is None:
        return ""
    return f"{path.parent.name}-{found.of}" if found.of else path.parent.name
