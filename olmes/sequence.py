"""Checkpoints of one training, one after another in one warm process.

Data, prompts, tokens, scoring processes and imports are had once; only weights are swapped. Each
checkpoint leaves the record that a run of it alone would leave, under the same name.
"""

from __future__ import annotations

import glob
import re
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.data.places import DataFolders, as_folders
from olmes.errors import OlmesError
from olmes.judging.judges import Written
from olmes.models.base import Model
from olmes.models.checkpoint.completeness import trouble_of
from olmes.models.checkpoint.hub import branches
from olmes.models.checkpoint.lineage import STEP, checkpoint_folder, step_of
from olmes.models.checkpoint.names import of_a_training
from olmes.models.checkpoint.places import HUB_ID
from olmes.models.hf.warm import WarmMemory
from olmes.models.options import ASKED, Asking
from olmes.models.replay import ReplayModel
from olmes.models.spec import parse_spec
from olmes.records.record import Record
from olmes.requests.callbacks import RunCallback, how_it_failed
from olmes.requests.choosing import Limit
from olmes.runs.evaluation import Evaluation
from olmes.runs.options import DEFAULT_OUT, RunOptions, Sampling
from olmes.runs.planning import ModelError, Target
from olmes.scoring.process.shared_pool import SharedPool
from olmes.seal.look import Look
from olmes.tools.notices import say_once
from olmes.tools.places import trouble_of as machine_trouble


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a sequence, and what became of it."""

    model: str
    """As `--model` would name it alone."""
    record: Record | None
    trouble: str = ""
    """Why there is no record; a sentence."""
    trace: str = ""
    """Of an internal error."""

    @property
    def complete(self) -> bool:
        """Whether there is a record and it is complete."""
        return self.record is not None and self.record.complete


def evaluate_sequence(
    target: Target,
    models: str | Sequence[str],
    *,
    limit: Limit | None = None,
    items: str | Sequence[str] = (),
    data: DataFolders = None,
    out: str | Path = DEFAULT_OUT,
    settings: Mapping[str, Any] | None = None,
    judge: Written = None,
    look: str | Look | None = None,
    asking: Asking | Mapping[str, Any] = ASKED,
    sampling: Sampling = "task",
    use_cache: bool = True,
    ray: str | None = None,
    workers: int | None = None,
    scoring_processes: int | None = None,
) -> list[Member]:
    """Run the same on several models, such as `ckpts/step_*`, and return what became of each.

    Args:
        target: as for `evaluate`.
        models: names as for `evaluate`, or patterns of checkpoint folders or of a repository's
            branches (`OWNER/NAME@step*`); run in the order of their training steps.
        limit: as every argument from here on: a field of `RunOptions`.
        items: only these, by row or id.
        data: a folder of benchmark files, or several, looked through in their order.
        out: the folder that holds the runs' folders.
        settings: changes to formulations.
        judge: who answers for tasks that need a judge, or by task's name.
        look: why held-out tasks are looked at; each model is a look of its own.
        asking: how the model is asked: an `olmes.models.options.Asking`, or its fields by name
            (`{"thinking": "off"}`).
        sampling: whose sampling settings hold: `task`, or `model` for the checkpoint's own.
        use_cache: whether responses are taken from and put into the shared cache.
        ray: a Ray cluster; weights are then loaded anew for each model.
        workers: engines on Ray.
        scoring_processes: how many.

    Raises:
        OlmesError: what would be asked cannot be asked of any model, or a pattern fits no folder. A
            model that fails is named in its `Member` and does not stop the others.
    """
    options = RunOptions(
        limit=limit,
        items=items,
        data=as_folders(data),
        out=Path(out),
        settings=settings or {},
        judge=judge,
        look=Look(reason=look) if isinstance(look, str) else look,
        asking=Asking.of(asking),
        sampling=sampling,
        use_cache=use_cache,
        ray=ray,
        workers=workers,
        scoring_processes=scoring_processes,
    )
    evaluation = Evaluation.of(target, options)
    evaluation.check()
    return run_sequence(expand([models] if isinstance(models, str) else models), evaluation)


def run_sequence(
    names: Sequence[str],
    evaluation: Evaluation,
    *,
    callback: Callable[[], RunCallback] = RunCallback,
    ended: Callable[[Member], None] = lambda _: None,
) -> list[Member]:
    """Run an evaluation on every model; `ended` is called with each as soon as it is over.

    Args:
        names: of the models, in the order in which they are run.
        evaluation: what is run, and how.
        callback: gives the callback of one run.
        ended: called with each model that is done with, well or not. What it or a callback raises is
            said, and stops neither the run nor the others.

    Raises:
        OlmesError: the plan cannot be made of any model.
    """
    warm, scorers = WarmMemory(), SharedPool()
    members: list[Member] = []
    planned: set[str] = set()

    def run_one(name: str) -> Member:
        try:
            model = evaluation.load(name, warm=warm)
            check_whole(model)
            model.check()
        except Exception as error:  # reported, as every one here; the others are run all the same
            return failed(name, error)
        try:
            plan = evaluation.plan(model)
        except Exception as error:
            # What cannot be asked of the first can be asked of none, unless that is its own fault.
            own = isinstance(model, ReplayModel) or isinstance(error, ModelError)
            if isinstance(error, OlmesError) and not planned and not own:
                raise
            return failed(name, error)
        planned.add(name)
        try:
            record = evaluation.run_loaded(
                model, plan=plan, callback=made(callback), scorers=scorers
            )
        except Exception as error:
            return failed(name, error)
        return Member(name, record)

    try:
        for name in names:
            members.append(run_one(name))
            try:
                ended(members[-1])
            except Exception as error:
                say_once(
                    f"what was to be done after {name} {how_it_failed(error)}; the others are run."
                )
    finally:
        warm.release()
        scorers.close()
    return members


def made(callback: Callable[[], RunCallback]) -> RunCallback:
    """The callback of one run; one that hears nothing where none can be made."""
    try:
        return callback()
    except Exception as error:
        say_once(f"the callback of a run {how_it_failed(error)}; the run continues without it.")
        return RunCallback()


def failed(name: str, error: Exception) -> Member:
    """A model whose run broke off."""
    if isinstance(error, OlmesError):
        return Member(name, None, str(error))
    if isinstance(error, OSError) and (said := machine_trouble(error, {})):
        return Member(name, None, said)
    reason = f"{type(error).__name__}: {error} (internal error)."
    return Member(name, None, reason, "".join(traceback.format_exception(error)))


def check_whole(model: Model) -> None:
    """Return when a model's folder, where it is one, is a whole checkpoint.

    Raises:
        OlmesError: it is not.
    """
    folder = checkpoint_folder(model)
    if folder is not None and (trouble := trouble_of(folder)):
        raise OlmesError(f"{folder} is not a whole checkpoint: {trouble.reason}.")


def is_pattern(name: str) -> bool:
    """Whether a name stands for several folders, or for several branches of a repository."""
    return ("*" in name or "[" in name) and not Path(name).expanduser().is_dir()


def expand(names: Sequence[str]) -> list[str]:
    """The models of some names and patterns, each once, in the order of their training steps.

    What is not named like a checkpoint (a base model) goes first, in the order given; checkpoints
    without a step (`final`, or the main branch of a repository whose steps are run too) go last.

    Raises:
        OlmesError: a pattern fits no folder and no branch, or a name cannot be parsed.
    """
    found = [one for name in names for one in (matches(name) if is_pattern(name) else [name])]
    trained = {at[0] for name in found if (at := on_hub(name)) and branch_place(at[1])}
    return sorted(dict.fromkeys(found), key=lambda name: place(name, trained))


def matches(pattern: str) -> list[str]:
    """The folders of a pattern, in natural order, with the backend before and the options behind.

    `OWNER/NAME@PATTERN` is for the branches and tags of a repository, where no folder fits.

    Raises:
        OlmesError: there is none.
    """
    spec = parse_spec(pattern)
    before = pattern.removesuffix(spec.target)
    wanted, mark, options = spec.target.partition("?")
    if spec.backend not in ("hf", "vllm"):
        wanted = ""
    # Not Path.glob, which takes no absolute pattern.
    folders = [one.rstrip("/") for one in glob.glob(str(Path(wanted).expanduser()))]  # noqa: PTH207
    folders = [one for one in folders if wanted and Path(one).is_dir()]
    repository, at, branch = wanted.partition("@")
    if not folders and at and (found := HUB_ID.fullmatch(repository)) and not found["revision"]:
        folders = [f"{repository}@{one}" for one in branches(repository, branch)]
    if not folders:
        hint = "" if at else " (branches of the hub: OWNER/NAME@PATTERN)"
        raise OlmesError(f"no folder fits '{pattern}'; check the path of the checkpoints{hint}.")
    return [f"{before}{one}{mark}{options}" for one in sorted(folders, key=natural)]


Place = tuple[int, tuple[int, ...], int]
"""Before, among or behind the checkpoints; the numbers of their stage; their step."""


def place(name: str, trained: Collection[str] = ()) -> Place:
    """Where a model stands in a sequence; models of one place stay in the order they have.

    Args:
        name: of the model.
        trained: repositories whose branches are checkpoints of the sequence.
    """
    if (at := on_hub(name)) is not None:
        repository, revision = at
        last = 2 if repository in trained else 0
        return branch_place(revision) or (last, (), 0)
    folder = Path(parse_spec(name).target.partition("?")[0]).expanduser()
    if not folder.is_dir() or of_a_training(folder.resolve().name) is None:
        return 0, (), 0
    step = step_of(folder)
    return (2, (), 0) if step is None else (1, (), step)


def branch_place(revision: str) -> Place | None:
    """Where a branch stands that is named after a step, behind those of earlier stages.

    A training in stages names its branches `stage1-step1000` or `stage2-ingredient1-step50`.
    """
    named = STEP.search(revision)
    if named is None:
        return None
    stage = re.findall(r"\d+", revision[: named.start()])
    return 1, tuple(map(int, stage)), int(named["step"])


def on_hub(name: str) -> tuple[str, str] | None:
    """The repository and the revision of a model's name; None where it is not on the hub."""
    spec = parse_spec(name)
    target = spec.target.partition("?")[0]
    if spec.backend not in ("hf", "vllm") or Path(target).expanduser().exists():
        return None
    found = HUB_ID.fullmatch(target)
    return (found["repository"], found["revision"] or "") if found else None


def natural(text: str) -> list[tuple[bool, int, str]]:
    """A sort key by which step_9 stands before step_10."""
    parts = re.split(r"(\d+)", text)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
