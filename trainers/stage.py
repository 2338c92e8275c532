"""What every stage needs before and after TRL: model, data, arguments, resuming, the last state.

A stage's folder holds `recipe.json` (the recipe as resolved, its hash, the data's), `checkpoint-N`
as a Hugging Face trainer writes them, `train_log.jsonl`, and at the end `final/`, a plain checkpoint
whatever was trained (adapters merged), and `done.json`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from olmes.errors import OlmesError
from olmes.tools.jsonl import dumps, write_atomically
from olmes.trainers.data.mixture import Mixture, load_mixture
from olmes.trainers.placement import on_processor
from olmes.trainers.processes import is_first, meet, same_everywhere, told
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
    say: Say


def prepare(recipe: R, out: Path, *, say: Say = say_aloud) -> Prepared[R]:
    """Find model and data, and write the recipe into the folder of what will be trained.

    Args:
        recipe: what is trained.
        out: the stage's folder; a stopped training of the same recipe in it is resumed.
        say: gets a line for everything a user should know.

    Raises:
        OlmesError: the model, the template or the data cannot be loaded, or `out` holds a training of
            another recipe.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Read when torch is first imported: idle threads that spin slow small models down many times.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    on_processor(recipe)  # refused before anything is read
    told("whether the folder is free", lambda: check_folder(recipe, out))
    folder = model_folder(recipe.model)
    content = fingerprint(folder)
    same_everywhere("the model", content, f"have the same '{recipe.model}' on all machines")
    told("whether it is the same model", lambda: check_start(out, content))
    tokenizer = load_tokenizer(recipe.model, folder)
    template = find_template(recipe.template, tokenizer)
    tokenizer.chat_template = template.plain
    mixture = load_mixture(recipe, say=say)
    same_everywhere("the data", mixture.hash, "have the same files on all machines")
    if is_first():
        stored = {
            "hash": recipe_hash(recipe), "recipe": to_json(recipe), "data": mixture.to_json(),
            "model": content,
        }  # fmt: skip
        write_atomically(out / RECIPE, json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
    meet("recipe.json is written")
    return Prepared(
        recipe=recipe, out=out, model=folder, tokenizer=tokenizer, template=template,
        mixture=mixture, say=say,
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
    """The log, the lineage, and the hook that scores checkpoints when the recipe names a suite."""
    from olmes.trainers.train_log import TrainLog
    from olmes.trainers.written_by_all import WrittenByAll

    found: list[TrainerCallback] = [
        WrittenByAll(),  # before those that read what was written
        TrainLog(prepared.out, prepared.recipe, prepared.say),
    ]
    if hook := scoring_hook(prepared):
        found.append(hook)
        if prepared.recipe.stage == "rlvr":
            # After the hook, which waits for the last score.
            found.append(reward_watch(prepared, hook.options.request.hash))
    return found


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
    given: dict[str, Any] = {
        "out": store_of(recipe, prepared.out),
        "wait_minutes": recipe.hardware.wait_minutes,
        **scoring.options,
    }
    for name in ("limit", "data", "settings"):
        if getattr(scoring, name):
            given[name] = getattr(scoring, name)
    try:
        hook = ScoreCheckpoints(scoring.target, about=about(prepared), **given)
        hook.others_wait = True  # as `processes.meet` does, for as long as this one lives
        return hook
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
