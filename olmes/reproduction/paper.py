"""The published tables of a paper as data: what each column is of, and every number in it.

A paper is a folder of `published/`: `paper.toml` says what its columns are of, `models.toml` which
models there are, and each `table_*.toml` holds the numbers as they are printed. What is known to be a
misprint is marked there and is held against nothing.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from olmes.errors import OlmesError
from olmes.tools.toml_tables import build, read_toml

PUBLISHED = Path(__file__).parent / "published"
PERCENT = 100
ROUNDING = 0.05 / PERCENT
"""Half of the last digit that a table prints, as a share."""
Stage = Literal["", "sft", "dpo", "final"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column of the tables is of, and in which setting it was measured."""

    task: str = ""
    """Our name of the task; '' where it is the column's."""
    subtasks: tuple[str, ...] = ()
    """Of one sub-task: the names it goes by; empty for a whole task."""
    parts: tuple[str, ...] = ()
    """Sub-tasks of ours whose unweighted mean that sub-task is, where it is divided."""
    metric: str = ""
    """Our name of the reported metric; '' is the task's primary one."""
    setting: str = ""
    """The reported setting, in words."""
    items: int = 0
    """How many items the published number is over; 0 where that is not known."""
    sampled: bool = False
    """Whether responses or judgements are drawn at random, so that the published number has noise of
    its own besides its items'."""
    judge: str = ""
    """Who judged."""
    formulation: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the formulation that the setting fixes."""
    differs: str = ""
    """What keeps every number of ours from being of the same setting; '' where nothing does."""
    note: str = ""
    """What a reader of the number must know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSuite:
    """A suite of the paper: the columns whose mean it reports."""

    title: str = ""
    suite: str = ""
    """Our suite."""
    average: str = ""
    """The column with the printed mean."""
    held_out: bool = False
    columns: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """Columns that are shown below and are not in the mean: other settings, sub-tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedModel:
    """A model of the tables."""

    size: str = ""
    stage: Stage = ""
    """Of its training, where the paper trained it."""
    ids: tuple[str, ...] = ()
    """Parts of names by which it is known, as `plain` writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table, in percent, as it is printed."""

    table: str = ""
    """Its number, or the numbers of tables that hold the same."""
    title: str = ""
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: Mapping[str, Any] = field(default_factory=dict)
    """By model, a number a column; NaN where none is printed."""
    means: Mapping[str, Any] = field(default_factory=dict)
    """Columns that are the unweighted mean of others, with these."""
    misprints: Mapping[str, Any] = field(default_factory=dict)
    """By model, then by column, why a number cannot be what was measured."""

    def number(self, model: str, column: str) -> float | None:
        """A number as printed, in percent; None where there is none."""
        if column not in self.columns or model not in self.rows:
            return None
        value = float(self.rows[model][self.columns.index(column)])
        return None if math.isnan(value) else value

    def misprint(self, model: str, column: str) -> str:
        """Why a number cannot be what was measured; '' where nothing is known against it."""
        return str(self.misprints.get(model, {}).get(column, ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published number."""

    value: float
    """A share."""
    table: str
    misprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperHead:
    """`paper.toml`."""

    name: str = ""
    source: str = ""
    default: str = ""
    """The model that is taken where nothing says which."""
    notes: tuple[str, ...] = ()
    sections: Mapping[str, PaperSuite] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper: its head, its models and its tables in the order of their numbers."""

    head: PaperHead
    models: Mapping[str, PublishedModel]
    tables: tuple[Table, ...]

    def published(self, model: str, column: str) -> Published | None:
        """A model's number of a column, from the first table that has it; None where none has."""
        for table in self.tables:
            if (value := table.number(model, column)) is not None:
                return Published(
                    value=value / PERCENT,
                    table=table.table,
                    misprint=table.misprint(model, column),
                )
        return None

    def column(self, name: str) -> Column:
        """What a column is of."""
        return self.head.columns[name]

    def task(self, column: str) -> str:
        """Our name of a column's task."""
        return self.column(column).task or column


def paper_names() -> list[str]:
    """The papers that there are tables of."""
    return sorted(path.parent.name for path in PUBLISHED.glob("*/paper.toml"))


@cache
def load_paper(name: str) -> Paper:
    """A paper by name.

    Raises:
        OlmesError: there is none of that name.
    """
    if name not in paper_names():
        raise OlmesError(
            f"there are no tables of a paper '{name}'; choose one of {', '.join(paper_names())}."
        )
    folder = PUBLISHED / name
    head = build(PaperHead(), read_toml(folder / "paper.toml"), "paper.toml")
    models = {
        model: build(PublishedModel(), given, "models.toml", model)
        for model, given in read_toml(folder / "models.toml").items()
        if isinstance(given, dict)
    }
    tables = tuple(
        build(Table(), read_toml(path), path.name) for path in sorted(folder.glob("table_*.toml"))
    )
    return Paper(head, models, tables)


def plain(name: str) -> str:
    """A name without case, accents and signs: `Llama-3.1-Tülu-3-8B` is `llama31tulu38b`."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return re.sub(r"[^a-z0-9]", "", letters)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which published model ours is held against."""

    name: str
    why: str
    """In words, to stand behind the name."""


def choose_model(
    paper: Paper, names: Iterable[str], *, called: str = "", stage: str = "", size: str = ""
) -> Chosen:
    """The published model that a model is held against.

    Args:
        paper: whose tables.
        names: what our model is called; only read where the others do not say.
        called: a name in the tables.
        stage: of the paper's own training.
        size: of the model.

    Raises:
        OlmesError: the tables have no such model.
    """
    if called:
        for model in paper.models:
            if plain(model) == plain(called):
                return Chosen(model, "as --as says")
        raise OlmesError(
            f"--as {called}: the tables have no such model; choose one of {', '.join(paper.models)}."
        )
    names = list(names)
    guess, words = guessed(paper, names), [word for name in names for word in sizes_in(name)]
    if stage or size:
        known = paper.models[guess] if guess else PublishedModel()
        default = paper.models[paper.head.default]
        wanted_size = size or known.size or next(iter(words), default.size)
        wanted_stage = stage or known.stage or default.stage
        for name, trained in paper.models.items():
            if (trained.size, trained.stage) == (wanted_size, wanted_stage):
                said = [f"--{key}" for key, given in (("stage", stage), ("size", size)) if given]
                return Chosen(
                    name, f"as {' and '.join(said)} {'says' if len(said) == 1 else 'say'}"
                )
        sizes = sorted({model.size for model in paper.models.values() if model.stage})
        raise OlmesError(
            f"the tables have no {wanted_stage} model of {wanted_size}; choose --size from "
            f"{', '.join(sizes)}, or name a model with --as."
        )
    if guess:
        return Chosen(guess, "by its name; --as takes another")
    return Chosen(paper.head.default, "its name does not say which; --as takes another")


def guessed(paper: Paper, names: Iterable[str]) -> str:
    """The published model whose id is in a name, the longest first; '' where none is."""
    written = [plain(name) for name in names]
    found = [
        (len(id_), model)
        for model, known in paper.models.items()
        for id_ in known.ids
        if any(id_ in name for name in written)
    ]
    return max(found, default=(0, ""))[1]


def sizes_in(name: str) -> list[str]:
    """Sizes that a name holds: `8b` in `my-tulu-8B-sft`."""
    return [size.lower() for size in re.findall(r"(?<![\d.])\d+[bB](?![a-zA-Z0-9])", name)]
