"""The recipe of `olmes synth preferences`: whose prompts, who answers, who judges."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

from olmes.errors import OlmesError
from olmes.synthesis.preferences.aspects import ASPECTS, Aspect
from olmes.synthesis.recipe import (
    RecipeModel,
    SynthesisRecipe,
    Temperature,
    check_model,
    near,
    read_recipe,
)
from olmes.tools.toml_tables import Bounds, PositiveInt

KIND = "preferences"
Share: TypeAlias = Annotated[float, Bounds(least=0, most=1)]
AnswerCount: TypeAlias = Annotated[int, Bounds(least=2, most=99)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeJudge(RecipeModel):
    """A judge: a model that is asked greedily, unless the recipe says otherwise."""

    HINT: ClassVar[str] = 'write a table, { model = "openai:NAME@URL" }'

    temperature: Temperature = 0.0
    prefill: str = ""
    """The first words of every judgement, for small models that would not find into the form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptData:
    """Where prompts come from: the user's turns of a data set, answered anew."""

    source: str = ""
    """A file (.jsonl, .jsonl.gz, .parquet), or OWNER/NAME of the hub."""
    split: str = "train"
    config: str = ""
    revision: str = ""
    limit: PositiveInt | None = None
    """Prompts, drawn by seed; None takes all."""


@dataclass(frozen=True, kw_only=True)
class PreferencesRecipe(SynthesisRecipe):
    """What a synthesis of preferences is made of."""

    data: PromptData = PromptData()
    responses: AnswerCount = 4
    """Answers a prompt."""
    keep_cut: bool = False
    """Whether an answer that ran into its token limit is judged too: it ends in mid-sentence, and
    whoever learns from it learns that."""
    aspects: tuple[str, ...] = tuple(ASPECTS)
    """What judges rate."""
    pool: Mapping[str, RecipeModel] = field(default_factory=dict)
    """Models that answer, by a name of one's own."""
    on_policy: RecipeModel | None = None
    """The model that is to be trained."""
    on_policy_share: Share | None = None
    """The share of prompts of which one answer is its own; None is every one where it is named."""
    judges: Mapping[str, RecipeJudge] = field(default_factory=dict)
    """The panel, by names of one's own."""

    @property
    def of_aspects(self) -> list[Aspect]:
        """The aspects that are rated."""
        return [ASPECTS[name] for name in self.aspects]

    @property
    def share(self) -> float:
        """The share of prompts with an answer of the model that is to be trained."""
        if self.on_policy is None:
            return 0.0
        return 1.0 if self.on_policy_share is None else self.on_policy_share

    def checked(self) -> None:
        """Return when the fields fit each other.

        Raises:
            OlmesError: they do not.
        """
        if not self.data.source:
            raise OlmesError(
                "'data.source' names no prompts; give a .jsonl or .parquet file, or OWNER/NAME of "
                "the hub."
            )
        if unknown := [name for name in self.aspects if name not in ASPECTS]:
            raise OlmesError(f"'aspects' has '{unknown[0]}'; known are {', '.join(ASPECTS)}.")
        if not self.aspects or len(set(self.aspects)) < len(self.aspects):
            raise OlmesError("'aspects' must name one aspect or more, each once.")
        if not self.judges:
            raise OlmesError(
                'there is no judge; write [judges] and NAME = { model = "openai:NAME@URL" }.'
            )
        if self.on_policy is None and self.on_policy_share:
            raise OlmesError("'on_policy_share' is given, and no model is; write [on_policy].")
        if not self.pool and self.share < 1:
            raise OlmesError('there is no model in [pool]; write NAME = { model = "..." } there.')
        for table, models in (("pool", self.pool), ("judges", self.judges)):
            for name, model in models.items():
                check_model(model, f"{table}.{name}", self.budget)
        if self.on_policy is not None:
            check_model(self.on_policy, "on_policy", self.budget)

    def beside(self, folder: Path) -> dict[str, Any]:
        """Fields that name files and models, from the folder of the recipe."""
        return super().beside(folder) | {
            "data": dataclasses.replace(self.data, source=near(folder, self.data.source)),
            "pool": {name: model.beside(folder) for name, model in self.pool.items()},
            "judges": {name: judge.beside(folder) for name, judge in self.judges.items()},
            "on_policy": self.on_policy and self.on_policy.beside(folder),
        }


def read_preferences_recipe(
    name: str | Path, settings: Mapping[str, str] | None = None
) -> PreferencesRecipe:
    """The recipe of a TOML file, or of a bundled one by its name.

    Raises:
        OlmesError: as `read_recipe`.
    """
    return read_recipe(name, KIND, PreferencesRecipe(), settings)
