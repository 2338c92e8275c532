"""The Python face of a run: `from olmes import evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmes.data.places import DataFolders, as_folders
from olmes.judging.judges import Given
from olmes.models.base import Model
from olmes.models.options import ASKED, Asking
from olmes.records.record import Record
from olmes.requests.callbacks import RunCallback
from olmes.requests.choosing import Limit
from olmes.runs.evaluation import Evaluation
from olmes.runs.options import DEFAULT_MODEL, DEFAULT_OUT, RunOptions, Sampling
from olmes.runs.planning import Target
from olmes.seal.look import Look


def evaluate(
    target: Target,
    *,
    model: str | Model = DEFAULT_MODEL,
    name: str = "",
    limit: Limit | None = None,
    items: str | Sequence[str] = (),
    data: DataFolders = None,
    out: str | Path = DEFAULT_OUT,
    settings: Mapping[str, Any] | None = None,
    judge: Given = None,
    look: str | Look | None = None,
    asking: Asking | Mapping[str, Any] = ASKED,
    sampling: Sampling = "task",
    k: Sequence[int] = (),
    use_cache: bool = True,
    ray: str | None = None,
    workers: int | None = None,
    scoring_processes: int | None = None,
    callback: RunCallback | None = None,
) -> Record:
    """Run a task, several tasks or a suite on a model and return the record.

    Args:
        target: a suite's or a task's name, a path of a suite (.toml) or task (.py) file, a `Task`,
            a `Suite`, or a sequence of tasks.
        model: a hub id, a local folder, `smollm2`, `replay:FILE`, or a `Model`.
        name: what tables and pages call the model; '' is a short form of what was given.
        limit: as every argument from here on but `callback`: a field of `RunOptions`.
        items: only these, by row or id (`"3,17"`, `"gsm8k/17"`).
        data: a folder of benchmark files, or several, looked through in their order.
        out: the folder that holds the runs' folders.
        settings: changes to formulations, such as `{"gsm8k.shots": 4}`.
        judge: who answers for tasks that need a judge, as for `model`; or by task's name, under '' for
            those that are not named.
        look: why held-out tasks are looked at; a `Look` says more.
        asking: how the model is asked: an `olmes.models.options.Asking`, or its fields by name
            (`{"thinking": "off"}`).
        sampling: whose sampling settings hold: `task`, or `model` for the checkpoint's own.
        k: of tasks with several responses an item, which pass@k are shown; 1, 2, 4, ... by default.
        use_cache: whether responses are taken from and put into the cache shared by all runs.
        ray: a Ray cluster to spread the requests over.
        workers: engines on Ray.
        scoring_processes: how many.
        callback: called at the events of the run; what it raises is said and does not end the run.

    Raises:
        OlmesError: a name is unknown, the model or data cannot be found, a setting does not fit, or
            held-out tasks are asked for without a reason.
    """
    options = RunOptions(
        name=name,
        limit=limit,
        items=items,
        data=as_folders(data),
        out=Path(out),
        settings=settings or {},
        judge=judge,
        look=Look(reason=look) if isinstance(look, str) else look,
        asking=Asking.of(asking),
        sampling=sampling,
        k=tuple(k),
        use_cache=use_cache,
        ray=ray,
        workers=workers,
        scoring_processes=scoring_processes,
    )
    evaluation = Evaluation.of(target, options)
    evaluation.check()
    return evaluation.run(model, callback=callback)
