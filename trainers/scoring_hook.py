"""The checkpoint hook of a recipe: `ScoreCheckpoints` as its [scoring] says."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.tools.near_names import nearest
from olmes.tools.toml_tables import convert
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.stage_folder import store_of

if TYPE_CHECKING:
    from olmes.benchmark.task import Task
    from olmes.trainers.checkpoints.hook import ScoreCheckpoints
    from olmes.trainers.checkpoints.lineage import LineageValue


def hook_of(
    recipe: Recipe, out: Path, about: Mapping[str, LineageValue]
) -> ScoreCheckpoints | None:
    """`ScoreCheckpoints` as [scoring] says; None when it names no suite.

    Args:
        recipe: its `scoring` is read.
        out: the stage's folder.
        about: what the lineage of checkpoints says of the training.

    Raises:
        OlmesError: a suite, a task, a setting or an option is unknown, or held out.
    """
    scoring = recipe.scoring
    if not scoring.target:
        return None
    from olmes.trainers.checkpoints.hook import ScoreCheckpoints

    kinds = typing.get_type_hints(ScoreCheckpoints.__init__)
    known = [name for name in kinds if name not in ("suite", "about", "return")]
    for name, value in scoring.options.items():
        if name not in known:
            near = nearest(name, known)
            advice = f"did you mean '{near}'?" if near else f"known are {', '.join(known)}."
            raise OlmesError(f"scoring.options has no '{name}'; {advice}")
        parts = set(typing.get_args(kinds[name])) or {kinds[name]}
        if parts <= {int, float, bool, str, type(None)}:
            convert(value, kinds[name], None, "scoring.options", name)
    given: dict[str, Any] = {
        "out": store_of(recipe, out),
        "wait_minutes": recipe.hardware.wait_minutes,
        **scoring.options,
    }
    for name in ("limit", "data", "settings"):
        if getattr(scoring, name):
            given[name] = getattr(scoring, name)
    try:
        hook = ScoreCheckpoints(scoring.target, about=about, **given)
        check_kind(recipe, hook.options.request.members[1])
        hook.others_wait = True  # as `processes.meet` does, for as long as this one lives
        return hook
    except (TypeError, ValueError) as error:  # a value of another type
        raise OlmesError(f"scoring.options: {error}; see docs/checkpoints.md.") from None


def check_kind(recipe: Recipe, tasks: Sequence[Task]) -> None:
    """Refuse to compare what a reward model alone has, or to ask one for text.

    Raises:
        OlmesError: a task is not for what the recipe trains.
    """
    for task in tasks:
        if task.for_reward_models and recipe.stage != "reward":
            raise OlmesError(
                f"scoring.tasks: {task.name} compares rewards, which a stage of {recipe.stage} has "
                "none of; score it on benchmarks, and a reward model on pairs."
            )
        if recipe.stage == "reward" and not task.for_reward_models:
            raise OlmesError(
                f"scoring.tasks: a reward model writes no text, so that {task.name} cannot score it; "
                'name files of preferences, as in tasks = ["held-out.jsonl"].'
            )
