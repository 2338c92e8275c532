"""What every stage needs before and after TRL: model, data, arguments, resuming, the last state.

A stage's folder holds `recipe.json` (the recipe as resolved, its hash, the data's), `checkpoint-N`
as a Hugging Face trainer writes them, `train_log.jsonl`, and at the end `final/`, a plain checkpoint
whatever was trained (adapters merged), and `done.json`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from olmes.errors import OlmesError
from olmes.tools.jsonl import dumps, write_atomically
from olmes.trainers.data.mixture import Mixture, load_mixture
from olmes.trainers.precision import Precision, file_precision
from olmes.trainers.processes import is_first
from olmes.trainers.recipes.identity import recipe_hash, to_json
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.starting_model import fingerprint, load_tokenizer, model_folder
from olmes.trainers.templates.pairs import ChatTemplate, find_template

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from olmes.trainers.checkpoints.hook import ScoreCheckpoints
    from olmes.trainers.checkpoints.lineage import LineageValue

Say = Callable[[str], None]
RECIPE = "recipe.json"
DONE = "done.json"
FINAL = "final"


def say_aloud(line: str) -> None:
    """A line on standard error, from the first process only."""
    if is_first():
        print(f"olmes: {line}", file=sys.stderr, flush=True)


R = TypeVar("R", bound=Recipe)
R_co = TypeVar("R_co", bound=Recipe, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Prepared(Generic[R_co]):
    """A stage ready for its trainer."""

    recipe: R_co
    """A `SFTRecipe`, `DPORecipe` or `RLVRRecipe`."""
    out: Path
    model: Path
    """Folder of the model that training starts from."""
    tokenizer: Any
    """With the plain template."""
    template: ChatTemplate
    mixture: Mixture
    validation: Mixture | None = None
    """Rows that are never learned from."""
    say: Say
    callbacks: tuple[Any, ...] = ()
    """The user's own callbacks of transformers."""

    @property
    def for_validation(self) -> Prepared[R_co] | None:
        """The same stage with its validation rows as the mixture; None where it has none."""
        return replace(self, mixture=self.validation) if self.validation else None

    @property
    def precision(self) -> Precision:
        """The precision of the files of its checkpoints."""
        return file_precision(self.recipe.checkpoints, self.model)


def prepare(
    recipe: R, out: Path, *, say: Say = say_aloud, callbacks: Sequence[Any] = ()
) -> Prepared[R]:
    """Find model and data, and write the recipe into the folder of what will be trained.

    Args:
        recipe: what is trained.
        out: the stage's folder; a stopped training of the same recipe in it is resumed.
        say: gets a line for everything a user should know.
        callbacks: of transformers, the user's own.

    Raises:
        OlmesError: the model, the template or the data cannot be loaded, or `out` holds a training of
            another recipe.
    """
    from olmes.trainers.validation import load_validation

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Read when torch is first imported: idle threads that spin slow small models down many times.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    check_folder(recipe, out)
    folder = model_folder(recipe.model)
    content = fingerprint(folder)
    check_start(out, content)
    tokenizer = load_tokenizer(recipe.model, folder)
    template = find_template(recipe.template, tokenizer)
    tokenizer.chat_template = template.plain
    mixture = load_mixture(recipe, say=say)
    validation = load_validation(recipe, say=say)
    if is_first():
        stored = {
            "hash": recipe_hash(recipe), "recipe": to_json(recipe), "data": mixture.to_json(),
            "model": content, "validation": validation.to_json() if validation else None,
        }  # fmt: skip
        write_atomically(out / RECIPE, json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
    return Prepared(
        recipe=recipe, out=out, model=folder, tokenizer=tokenizer, template=template,
        mixture=mixture, validation=validation, say=say, callbacks=tuple(callbacks),
    )  # fmt: skip


def check_folder(recipe: Recipe, out: Path) -> None:
    """Refuse to resume a training of another recipe.

    Raises:
        OlmesError: `out` holds one; the message names a key that differs.
    """
    if not (out / RECIPE).is_file():
        return
    stored = json.loads((out / RECIPE).read_text("utf-8"))
    if stored.get("hash") == recipe_hash(recipe):
        return
    now, then = json.loads(dumps(to_json(recipe))), stored.get("recipe", {})
    changed = [key for key in now if now[key] != then.get(key)] or ["recipe"]
    raise OlmesError(
        f"{out} holds a training of another recipe ('{changed[0]}' differs); give another --out, "
        "or remove the folder."
    )


def check_start(out: Path, model: str) -> None:
    """Refuse to resume a training that began from another model.

    Raises:
        OlmesError: it did.
    """
    if (out / RECIPE).is_file():
        stored = json.loads((out / RECIPE).read_text("utf-8"))
        if stored.get("model") != model:
            raise OlmesError(
                f"{out} holds a training that began from another model; give another --out, or "
                "remove the folder."
            )


def callbacks(prepared: Prepared[Recipe]) -> list[TrainerCallback]:
    """The log, the user's own, the hook that scores checkpoints where a suite is named, and trackers.

    Trackers come last: they are closed when all is sent.

    Raises:
        OlmesError: a tracker refuses.
    """
    from olmes.trainers.trackers.reporting import tracking
    from olmes.trainers.train_log import TrainLog
    from olmes.trainers.validation import MeasureAtEnd

    found: list[TrainerCallback] = [TrainLog(prepared.out, prepared.recipe, prepared.say)]
    if prepared.validation:
        found.append(MeasureAtEnd())
    found += prepared.callbacks
    if hook := scoring_hook(prepared):
        found.append(hook)
        if prepared.recipe.stage == "rlvr":
            # After the hook, which waits for the last score.
            found.append(reward_watch(prepared, hook.options.request.hash))
    store = store_of(prepared.recipe, prepared.out)
    return [*found, *tracking(prepared.recipe, prepared.out, store, prepared.say)]


def reward_watch(prepared: Prepared[Recipe], request_hash: str) -> TrainerCallback:
    """The callback that compares the reward with the checkpoints' scores of a request."""
    from olmes.trainers.data.training_rows import rewarded_constraints
    from olmes.trainers.rewards.watch import RewardWatch

    trained = frozenset[str]().union(*map(rewarded_constraints, prepared.mixture.rows))
    return RewardWatch(
        prepared.out, store_of(prepared.recipe, prepared.out), trained, request_hash, prepared.say
    )


def store_of(recipe: Recipe, out: Path) -> Path:
    """Where the records of a training's checkpoints lie; `out` is its folder."""
    return Path(recipe.scoring.out) if recipe.scoring.out else out / "scores"


def scoring_hook(prepared: Prepared[Recipe]) -> ScoreCheckpoints | None:
    """`ScoreCheckpoints` as the recipe's [scoring] says; None when it names no suite."""
    recipe = prepared.recipe
    if not recipe.scoring.target:
        return None
    from olmes.trainers.checkpoints.hook import ScoreCheckpoints

    scoring = recipe.scoring
    given: dict[str, Any] = {"out": store_of(recipe, prepared.out), **scoring.options}
    for name in ("limit", "data", "settings"):
        if getattr(scoring, name):
            given[name] = getattr(scoring, name)
    try:
        return ScoreCheckpoints(scoring.target, about=about(prepared), **given)
    except TypeError as error:
        raise OlmesError(f"scoring.options: {error}; see docs/checkpoints.md.") from None


def about(prepared: Prepared[Recipe]) -> dict[str, LineageValue]:
    """What a lineage says of a training."""
    recipe = prepared.recipe
    return {
        "method": recipe.stage,
        "recipe": recipe_hash(recipe),
        "data": prepared.mixture.hash[:16],
    }


def finished(recipe: Recipe, out: Path) -> Path | None:
    """The last state of a stage that is done; None when it is not.

    Raises:
        OlmesError: `out` holds a training of another recipe.
    """
    check_folder(recipe, out)
    return out / FINAL if (out / DONE).is_file() and (out / FINAL).is_dir() else None
