"""What tasks need of a model and of a judge, checked before a run leaves anything anywhere.

Before the look at held-out tasks is written down, before the run's folder is made and before the
first request: a run that cannot be asked costs nothing and leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.judging.judges import Judges
from olmes.models.base import NO_REWARDS, Model
from olmes.models.replay import ReplayModel
from olmes.records.reasons import Reasons, reason_of, texts_of
from olmes.requests.plan import Plan, TaskPlan
from olmes.requests.response_cache import ResponseCache, ResponseKeys
from olmes.sandbox.choice import chosen
from olmes.sandbox.program import Program
from olmes.tools.extras import lacking
from olmes.types import Request, Response

DUMMY = Response(text="An answer.")
"""What a judge is asked about to see whether it can be asked."""


def check_needs(plan: Plan, model: Model, judges: Judges, *, use_cache: bool) -> None:
    """Return when every task can be asked of the model, and judged.

    A task is refused here when each of its requests is (a missing chat template, a prefill on a
    server that cannot go on with it, prompts larger than the window): as a rule the first shows it. A
    task whose first answer is in the response cache can be asked; then no file is looked at.

    Raises:
        OlmesError: a task cannot be asked, or the judge cannot; there is no sandbox for what a task has
            executed, or not the libraries; or a package that scores a task's answers is missing.
    """
    check_extras(task.task for task in plan.tasks)
    check_sandbox(plan.tasks)
    asked = [] if isinstance(model, ReplayModel) else unproven(plan, model, use_cache=use_cache)
    if asked:
        model.check()
    for task in asked:
        if task.task.for_reward_models and not model.gives_rewards:
            raise OlmesError(
                f"{task.task.name} compares rewards, and '{model.name}' is no reward model: "
                f"{NO_REWARDS}. Nothing was asked and nothing written."
            )
        if why := common_refusal(model, task.items.requests):
            raise OlmesError(
                f"{task.task.name} cannot be asked of '{model.name}': {why}. Fix that, or leave the "
                "task out; nothing was asked and nothing written."
            )
    checked: set[int] = set()
    for task in plan.tasks:
        judge = judges.of(task.task.name) if task.task.judged else None
        if judge is None or isinstance(judge.model, ReplayModel):
            continue
        if id(judge) not in checked:
            checked.add(id(judge))
            judge.model.check()
        if why := common_refusal(judge.model, questions(task)):
            raise OlmesError(
                f"{task.task.name} cannot be judged by '{judge.model.name}': {why}. Fix that, or "
                "give another --judge; nothing was asked and nothing written."
            )


def check_extras(tasks: Iterable[Task]) -> None:
    """Return when the packages that score the tasks' answers are installed.

    Raises:
        OlmesError: one of them is not.
    """
    for task in tasks:
        for extra in task.extras:
            if missing := lacking(extra):
                raise OlmesError(
                    f"{task.name} is scored with {' and '.join(missing)}, not installed here: "
                    f"pip install 'olmes[{extra}]'. Nothing was asked and nothing written."
                )


def check_sandbox(tasks: Iterable[TaskPlan]) -> None:
    """Return when there is a sandbox for the tasks whose responses are executed, if there are any.

    Raises:
        OlmesError: there is none, or the environment of a task's programs is not installed.
    """
    for task in tasks:
        if not task.task.executed:
            continue
        sandbox = chosen()
        programs: Sequence[Program] = ()
        doc = task.items.instances[0].doc
        with suppress(Exception):  # an oracle that cannot be asked is for `olmes check` to say
            programs = task.task.programs(doc, task.task.perfect_response(doc))
        for program in programs:
            sandbox.interpreter(program.environment)


@contextmanager
def clearer(model: Model) -> Iterator[None]:
    """Have a model say itself what is wrong with it, where something that needs it fails.

    Raises:
        OlmesError: as the model's `check`, or as what failed.
    """
    try:
        yield
    except OlmesError:
        model.check()
        raise


def unproven(plan: Plan, model: Model, *, use_cache: bool) -> list[TaskPlan]:
    """The tasks of which it is not known yet that this model, asked like this, answers them."""
    cache = ResponseCache(read_only=True) if use_cache and model.cacheable else None
    try:
        keys = ResponseKeys(model, cache)
        return [task for task in plan.tasks if not keys.answered(task.items.requests[0])]
    finally:
        if cache:
            cache.close()


def common_refusal(model: Model, requests: Iterable[Request]) -> str:
    """Why a model refuses requests, if it refuses them all; '' where it takes one of them."""
    reasons = Reasons()
    for request in requests:
        why = model.refusal(request)
        if not why:
            return ""
        reasons.add("failed", reason_of(why, texts_of(request)))
    found = reasons.counted().get("failed", [])
    return found[0].text if found else ""


def questions(task: TaskPlan) -> Sequence[Request]:
    """What a judge would be asked about some answer to the first item."""
    asked: tuple[object, ...] = ()
    # A task may want an answer of some form; then its questions are known when there is one.
    with suppress(Exception):
        asked = task.task.questions(task.items.instances[0].doc, DUMMY)
    return [question for question in asked if isinstance(question, Request)]
