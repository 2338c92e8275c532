"""What every stage needs before and after TRL: model, data, arguments, resuming, the last state.

A stage's folder holds `recipe.json` (the recipe as resolved, its hash, the data's), `checkpoint-N`
as a Hugging Face trainer writes them, `train_log.jsonl`, and at the end `final/`, a plain checkpoint
whatever was trained (adapters merged), and `done.json`.
"""

from __future__ import annotations

import difflib
import os
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from olmes.errors import OlmesError
from olmes.tools.toml_tables import convert
from olmes.trainers.data.mixture import Mixture, load_mixture
from olmes.trainers.processes import is_first, told
from olmes.trainers.recipes.stages import Recipe, RLVRRecipe
from olmes.trainers.resuming import check_finished, check_folder, check_start, claim
from olmes.trainers.started import DONE, as_it_began
from olmes.trainers.starting_model import fingerprint, load_tokenizer, model_folder
from olmes.trainers.templates.pairs import ChatTemplate, find_template
from olmes.trainers.trl_arguments import computes_in

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from olmes.trainers.checkpoints.hook import ScoreCheckpoints
    from olmes.trainers.checkpoints.lineage import LineageValue

Say = Callable[[str], None]
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
    hash: str
    """Of the recipe, as it was when the training was prepared."""
    micro_batches: int
    """Micro-batches of an update over all devices, as they were when the training began."""
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
    told("whether the folder is free", lambda: check_folder(recipe, out, say))
    check_needs(recipe)
    hook_of(recipe, out, {})  # what it would refuse is refused before anything is read
    recipe = told("how it began", lambda: as_it_began(recipe, out, say))
    folder = model_folder(recipe.model)
    content = fingerprint(folder)
    told("whether it is the same model", lambda: check_start(out, content))
    tokenizer = load_tokenizer(recipe.model, folder)
    template = find_template(recipe.template, tokenizer)
    tokenizer.chat_template = template.plain
    mixture = load_mixture(recipe, say=say)
    named, micro_batches = told(
        "whether it is the same data",
        lambda: claim(
            recipe, out, content, template, mixture, precision=computes_in(recipe), say=say
        ),
    )
    return Prepared(
        recipe=recipe, out=out, model=folder, tokenizer=tokenizer, template=template,
        mixture=mixture, hash=named, micro_batches=micro_batches, say=say,
    )  # fmt: skip


def callbacks(prepared: Prepared[Recipe]) -> list[TrainerCallback]:
    """The log, the lineage, and the hook that scores checkpoints when the recipe names a suite."""
    from olmes.trainers.train_log import TrainLog

    found: list[TrainerCallback] = [TrainLog(prepared.out, prepared.recipe, prepared.say)]
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
    return hook_of(prepared.recipe, prepared.out, about(prepared))


def hook_of(
    recipe: Recipe, out: Path, about: Mapping[str, LineageValue]
) -> ScoreCheckpoints | None:
    """As `scoring_hook`, for a stage that is not prepared yet.

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
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}."
            raise OlmesError(f"scoring.options has no '{name}'; {advice}")
        parts = set(typing.get_args(kinds[name])) or {kinds[name]}
        if parts <= {int, float, bool, str, type(None)}:
            convert(value, kinds[name], None, "scoring.options", name)
    given: dict[str, Any] = {"out": store_of(recipe, out), **scoring.options}
    for name in ("limit", "data", "settings"):
        if getattr(scoring, name):
            given[name] = getattr(scoring, name)
    try:
        return ScoreCheckpoints(scoring.target, about=about, **given)
    except (TypeError, ValueError) as error:  # a value of another type
        raise OlmesError(f"scoring.options: {error}; see docs/checkpoints.md.") from None


def check_needs(recipe: Recipe) -> None:
    """Refuse a recipe whose engine is not installed.

    Raises:
        OlmesError: vLLM is asked for and missing.
    """
    from importlib.util import find_spec

    if not isinstance(recipe, RLVRRecipe) or recipe.algorithm != "grpo":
        return  # PPO says by itself what it generates with
    if recipe.vllm != "off" and find_spec("vllm") is None:
        raise OlmesError(
            f'vllm = "{recipe.vllm}" needs vLLM, which is not installed here; run '
            "\"pip install 'vllm>=0.22,<0.32'\", or leave `vllm` out: transformers generates then."
        )


def about(prepared: Prepared[Recipe]) -> dict[str, LineageValue]:
    """What a lineage says of a training."""
    recipe = prepared.recipe
    return {
        "method": recipe.stage,
        "recipe": prepared.hash,
        "data": prepared.mixture.hash[:16],
    }


def finished(recipe: Recipe, out: Path, *, model: bool = True) -> Path | None:
    """The last state of a stage that is done; None when it is not.

    Args:
        recipe: what is asked for.
        out: the stage's folder.
        model: whether the recipe names the model that the stage began from.

    Raises:
        OlmesError: `out` holds another training, or one on other data.
    """
    if not (out / DONE).is_file() or not (out / FINAL).is_dir():
        check_folder(recipe, out)
        return None
    check_finished(recipe, out, model=model)
    return out / FINAL
