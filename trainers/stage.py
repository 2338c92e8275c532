"""What every stage needs before and after TRL: model, data, arguments, resuming, the last state.

A stage's folder holds `recipe.json` (the recipe as resolved, its hash, the data's), `checkpoint-N`
as a Hugging Face trainer writes them, `train_log.jsonl`, and at the end `final/`, a plain checkpoint
whatever was trained (adapters merged), and `done.json`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from olmes.trainers.checkpoints.folders import FINAL
from olmes.trainers.data.held_out_pairs import check_held_out
from olmes.trainers.data.mixture import Mixture, column, load_mixture
from olmes.trainers.data.overlap import overlap_of_mixture, tasks_against
from olmes.trainers.on_trl.arguments import computes_in
from olmes.trainers.on_trl.precision import Precision, file_precision
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.resuming import check_finished, check_folder, check_start, claim
from olmes.trainers.scoring_hook import hook_of
from olmes.trainers.stage_folder import DONE, store_of
from olmes.trainers.started import as_it_began
from olmes.trainers.starting_model import fingerprint, load_tokenizer, model_folder
from olmes.trainers.templates.endings import begin_of_sequence, stop_at
from olmes.trainers.templates.pairs import ChatTemplate, find_template
from olmes.trainers.together.placement import on_processor
from olmes.trainers.together.processes import is_first, same_everywhere, told

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from olmes.records.overlap import Overlap
    from olmes.trainers.checkpoints.lineage import LineageValue

Say = Callable[[str], None]


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
    ends: tuple[int, ...]
    """The tokens that end an answer: the one that the template teaches, and those known before."""
    mixture: Mixture
    hash: str
    """Of the recipe, as it was when the training was prepared."""
    micro_batches: int
    """Micro-batches of an update over all devices, as they were when the training began."""
    overlap: tuple[Overlap, ...] | None = None
    """What the data have in common with evaluations; None where nothing was compared."""
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
    from olmes.trainers.on_trl.validation import load_validation

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Read when torch is first imported: idle threads that spin slow small models down many times.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    on_processor(recipe)  # refused before anything is read
    told("whether the folder is free", lambda: check_folder(recipe, out, say))
    hook_of(recipe, out, {})  # what it would refuse is refused before anything is read
    tasks_against(recipe.decontamination.against)
    recipe = told("how it began", lambda: as_it_began(recipe, out, say))
    folder = model_folder(recipe.model)
    content = fingerprint(folder)
    same_everywhere("the model", content, f"have the same {recipe.model!r} on all machines")
    told("whether it is the same model", lambda: check_start(out, content))
    tokenizer = load_tokenizer(recipe.model, folder)
    template = find_template(recipe.template, tokenizer)
    tokenizer.chat_template = template.plain
    ends, news = stop_at(tokenizer, template, folder)
    for line in (news, begin_of_sequence(tokenizer, template)):
        if line:
            say(line)
    mixture = load_mixture(recipe, say=say)
    if recipe.stage == "reward":
        check_held_out(recipe.scoring, mixture.rows, say)
    validation = load_validation(recipe, say=say)
    same_everywhere("the data", mixture.hash, "have the same files on all machines")
    overlap = told(
        "what the data have in common with evaluations",
        lambda: overlap_of_mixture(recipe, mixture, store_of(recipe, out), say=say),
    )
    named, micro_batches = told(
        "whether it is the same data, and recipe.json",
        lambda: claim(
            recipe,
            out,
            content,
            template,
            mixture,
            validation=validation,
            precision=computes_in(recipe),
            say=say,
        ),
    )
    return Prepared(
        recipe=recipe, out=out, model=folder, tokenizer=tokenizer, template=template, ends=ends,
        mixture=mixture, validation=validation, overlap=overlap, hash=named,
        micro_batches=micro_batches, say=say, callbacks=tuple(callbacks),
    )  # fmt: skip


def callbacks(prepared: Prepared[Recipe]) -> list[TrainerCallback]:
    """The log, the user's own callbacks, the hook where a suite is named, the page, the trackers.

    The trackers come last: they are closed when all is sent.

    Raises:
        OlmesError: a tracker refuses.
    """
    from olmes.trainers.on_trl.validation import MeasureAtEnd
    from olmes.trainers.together.written_by_all import WrittenByAll
    from olmes.trainers.trackers.reporting import tracking
    from olmes.trainers.train_log import TrainLog
    from olmes.trainers.training_page import PageRefresh

    found: list[TrainerCallback] = [
        WrittenByAll(),  # before those that read what was written
        TrainLog(prepared.out, prepared.recipe, prepared.say),
    ]
    if prepared.validation:
        found.append(MeasureAtEnd())
    found += prepared.callbacks
    if hook := hook_of(prepared.recipe, prepared.out, about(prepared)):
        found.append(hook)
        if prepared.recipe.stage == "rlvr":
            # After the hook, which waits for the last score.
            found.append(reward_watch(prepared, hook.options.request.hash))
    if prepared.overlap is not None:
        from olmes.trainers.checkpoint_lineage import TellLineage

        found.append(TellLineage(lambda folder, step: write_origin(folder, prepared, step)))
    found.append(PageRefresh(prepared.recipe, prepared.out, prepared.say))
    store = store_of(prepared.recipe, prepared.out)
    return [*found, *tracking(prepared.recipe, prepared.out, store, prepared.say)]


def reward_watch(prepared: Prepared[Recipe], request_hash: str) -> TrainerCallback:
    """The callback that compares the reward with the checkpoints' scores of a request."""
    from olmes.trainers.data.training_rows import rewarded_constraints
    from olmes.trainers.rewards.watch import RewardWatch

    trained: set[str] = set()
    for held in column(prepared.mixture.rows, "verifiers"):
        trained |= rewarded_constraints({"verifiers": held})
    return RewardWatch(
        prepared.out, store_of(prepared.recipe, prepared.out), frozenset(trained), request_hash,
        prepared.say,
    )  # fmt: skip


def about(prepared: Prepared[Recipe]) -> dict[str, LineageValue]:
    """What a lineage says of a training."""
    recipe = prepared.recipe
    found: dict[str, LineageValue] = {
        "method": recipe.stage,
        "recipe": prepared.hash,
        "data": prepared.mixture.hash[:16],
    }
    if prepared.overlap is not None:
        found["overlap"] = msgspec.to_builtins(list(prepared.overlap))
    return found


def write_origin(folder: Path, prepared: Prepared[Recipe], step: int) -> None:
    """`lineage.json`: what the model was trained from, and by which recipe on which data."""
    from olmes.trainers.checkpoints.lineage import steps_of, write_lineage

    recipe = prepared.recipe
    named = str(prepared.model) if Path(recipe.model).expanduser().is_dir() else recipe.model
    write_lineage(folder, steps_of(named, recipe.name, step, about(prepared)))


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
