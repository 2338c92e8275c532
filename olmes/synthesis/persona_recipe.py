"""The recipe of `olmes synth personas`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from olmes.errors import OlmesError
from olmes.synthesis.recipe import RecipeModel, SynthesisRecipe, beside, check_model, near
from olmes.tools.toml_tables import Bounds, PositiveInt

Count: TypeAlias = Annotated[int, Bounds(least=0)]
Share: TypeAlias = Annotated[float, Bounds(least=0, most=1)]
ShareAboveZero: TypeAlias = Annotated[float, Bounds(above=0, most=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constrained:
    """Instructions with constraints that a program can verify (Tülu 3, figures 30 to 32)."""

    instructions: Count = 0
    """How many are asked for; fewer are kept."""
    task: str = ""
    """Whose constraints are drawn, and whose scorer verifies: a task of verifiable instructions."""
    fewest: PositiveInt = 1
    """Constraints of an instruction, at least."""
    most: PositiveInt = 3
    restate: bool = True
    """Whether a constraint that an instruction does not speak of is put behind it."""
    responses: PositiveInt = 1
    """Asked for each instruction; the first that meets every constraint is kept."""
    pairs: Share = 0.0
    """The share of the kept rows of which a preference pair is made, by relaxing one constraint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mathematics:
    """Problems with a final answer (Tülu 3, figures 33 and 34)."""

    instructions: Count = 0
    task: str = ""
    """Whose reading of answers counts the votes, and whose scorer verifies."""
    doc: Mapping[str, Any] = field(default_factory=dict)
    """An item of that task: its fields, with {problem} and {answer} where these belong."""
    solutions: PositiveInt = 4
    """Asked for each problem."""
    agreement: ShareAboveZero = 0.5
    """The share of the solutions that must have the most frequent answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Python functions (Tülu 3, figures 35 and 36)."""

    instructions: Count = 0
    solutions: PositiveInt = 1
    """Asked for each question; the first that can be kept is."""
    tests: bool = False
    """Whether a model is asked for assertions, which a kept solution passes in the sandbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """When two prompts are one."""

    jaccard: ShareAboveZero = 0.7
    """Of their sets of shingles; as similar ones are duplicates."""
    shingle: PositiveInt = 3
    """Tokens in a row."""


@dataclass(frozen=True, kw_only=True)
class PersonaRecipe(SynthesisRecipe):
    """Persona by persona: an instruction, an answer, a check."""

    personas: str = ""
    """A file of one's own, one a line, or JSON lines with `persona`; '' is the bundled list."""
    generator: RecipeModel = field(default_factory=RecipeModel)
    """Who writes instructions."""
    responder: RecipeModel = field(default_factory=RecipeModel)
    """Who answers them; without a model the generator does."""
    constrained: Constrained = Constrained()
    math: Mathematics = Mathematics()
    code: Code = Code()
    duplicates: Duplicates = Duplicates()

    ALIASES = {"if": "constrained"}  # noqa: RUF012 (read by `toml_tables.build`)

    @property
    def answers(self) -> RecipeModel:
        """Who answers."""
        return self.responder if self.responder.model else self.generator

    def checked(self) -> None:
        """Return when the fields fit each other.

        Raises:
            OlmesError: they do not.
        """
        check_model(self.generator, "generator", self.budget)
        check_model(self.answers, "responder", self.budget)
        if not (self.constrained.instructions or self.math.instructions or self.code.instructions):
            raise OlmesError(
                "nothing is asked for; give if.instructions, math.instructions or code.instructions."
            )
        if self.constrained.instructions and not self.constrained.task:
            raise OlmesError(
                "'if.task' names no task; give one with verifiable instructions, such as "
                '"ifeval".'
            )
        if self.constrained.most < self.constrained.fewest:
            raise OlmesError(
                f"'if.most' is {self.constrained.most}, less than 'if.fewest'; give as many or more."
            )
        if self.math.instructions and not (self.math.task and self.math.doc):
            raise OlmesError(
                "'math.task' or 'math.doc' is missing; copy both from the bundled recipe "
                "demo-personas."
            )

    def beside(self, folder: Path) -> dict[str, Any]:
        """Fields that name files and models, from the folder of the recipe."""
        return super().beside(folder) | {
            "personas": self.personas and str(beside(folder, self.personas)),
            "generator": self.generator.beside(folder),
            "responder": self.responder.beside(folder),
            "constrained": with_task_beside(folder, self.constrained),
            "math": with_task_beside(folder, self.math),
        }


def with_task_beside(folder: Path, table: Any) -> Any:
    """A table whose task may be a file beside the recipe."""
    return replace(table, task=near(folder, table.task))
