"""The one road from a target to records: options, plan, model, run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.judging.judge import Judge
from olmes.judging.judges import EVERY, Judges, Named, named
from olmes.models.base import Model
from olmes.models.hf.warm import WarmMemory
from olmes.models.ray.model import load_model_on_ray
from olmes.models.replay import ReplayModel
from olmes.models.spec import load_model
from olmes.records.record import Record
from olmes.requests.callbacks import RunCallback
from olmes.requests.plan import Plan
from olmes.runs.needs import clearer
from olmes.runs.options import RunOptions
from olmes.runs.planning import (
    Target,
    load_judge,
    plan_run,
    tasks_of,
    to_stderr,
    with_settings,
)
from olmes.runs.run import run
from olmes.scoring.process.shared_pool import SharedPool
from olmes.seal.held_out import held_out_tasks
from olmes.seal.look import check_look, check_not_named
from olmes.tools.hashing import content_hash
from olmes.tools.places import OUT, writing


class Evaluation:
    """A suite or tasks, and how they are run on any number of models.

    The command, `evaluate`, sequences of checkpoints, the hook and the watcher all go this way.

    Args:
        tasks: what is run.
        suite: the suite they are, if they are one.
        options: how.
        say: called with what a user should know while data are looked for.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        suite: Suite | None,
        options: RunOptions,
        *,
        say: Callable[[str], None] = to_stderr,
    ) -> None:
        self.tasks = tasks
        self.suite = suite
        self.options = options
        self.say = say
        self.judge_models: dict[str, Model] = {}
        """Models that judge, by name."""
        self.shared: dict[str, Plan] = {}
        """Plans by how a model changes its tasks; recordings have plans of their own."""

    @classmethod
    def of(
        cls, target: Target, options: RunOptions, *, say: Callable[[str], None] = to_stderr
    ) -> Evaluation:
        """The evaluation of a target as a user names it.

        Raises:
            OlmesError: a name is unknown.
        """
        suite, tasks = tasks_of(target)
        return cls(tasks, suite, options, say=say)

    def check(self) -> None:
        """Refuse at once what every run would refuse, before data or weights are fetched.

        Raises:
            OlmesError: held-out tasks are asked for without a reason, or by a hook before the end, or
                items of them are named, or a judge is given for a task that is not there.
        """
        check_look(self.tasks, self.suite, self.options.look)
        if self.options.items:
            check_not_named(held_out_tasks(self.tasks, self.suite))
        judged = [task.name for task in self.tasks if task.judged]
        given = self.options.judge
        for task in given if isinstance(given, Mapping) else ():
            if task not in (EVERY, *judged):
                raise OlmesError(
                    f"--judge {task}=...: no judged task of that name is run here; "
                    f"judged are: {', '.join(judged) or 'none'}."
                )

    def judges(self) -> Judges:
        """Who judges in the next run, each with a budget of its own; models are loaded once.

        Raises:
            OlmesError: a name cannot be parsed.
        """
        given = self.options.judge
        made: dict[str, Judge] = {}

        def judge_of(who: Named) -> Judge:
            if isinstance(who, Judge):
                return who
            if who not in made:
                if who not in self.judge_models:
                    self.judge_models[who] = load_judge(who)
                made[who] = Judge(model=self.judge_models[who], budget=self.options.judge_budget)
            return made[who]

        if not isinstance(given, Mapping):
            return Judges(judge_of(given) if given else None)
        found = {task: judge_of(who) for task, who in given.items()}
        return Judges(found.pop(EVERY, None), found)

    def load(self, name: str, *, warm: WarmMemory | None = None) -> Model:
        """The model of a name, with the options' engine.

        Raises:
            OlmesError: as `load_model` and `load_model_on_ray`.
        """
        options = self.options
        if options.on_ray:
            model = load_model_on_ray(
                name, ray=options.ray, workers=options.workers, **options.engine
            )
        else:
            model = load_model(name, warm=warm, **options.engine)
        model.title = options.name or model.title
        return model

    def plan(self, model: Model) -> Plan:
        """Every request of a run on a model; made once for all models that are asked alike.

        Raises:
            OlmesError: a setting does not fit, or the data or the recording cannot be found.
        """
        options = self.options
        # The first model's files are read after the mistakes of a command are found.
        if self.shared and not isinstance(model, ReplayModel):
            kind = self.kind(model)
            if kind in self.shared:
                return self.shared[kind]
        plan = plan_run(
            self.tasks,
            model,
            suite=self.suite,
            limit=options.limit,
            items=options.items,
            data=options.data,
            settings=options.settings,
            with_judge=lambda task: named(options.judge, task) is not None,
            sampling=options.sampling,
            k=options.k,
            say=self.say,
        )
        if not isinstance(model, ReplayModel):
            self.shared[self.kind(model)] = plan
        return plan

    def kind(self, model: Model) -> str:
        """What is the same for all models that are asked alike."""
        asked = with_settings(self.tasks, self.options.settings or {})
        with clearer(model):
            own = model.sampling if self.options.sampling == "model" else {}
            # A model is asked only for what decides something here.
            thinks = any(task.formulation.prefill for task in asked) and model.thinks
            merges = any(task.formulation.system for task in asked) and model.merges_system
        return content_hash([thinks, merges, own])

    def run(
        self,
        model: str | Model,
        *,
        callback: RunCallback | None = None,
        scorers: SharedPool | None = None,
    ) -> Record:
        """Run it on one model.

        Raises:
            OlmesError: as `run`, or the options do not fit the model.
        """
        if isinstance(model, str):
            model = self.load(model)
        elif self.options.on_ray:
            raise OlmesError("ray and workers need a model's name; give the model as a string.")
        return self.run_loaded(model, callback=callback, scorers=scorers)

    def run_loaded(
        self,
        model: Model,
        *,
        plan: Plan | None = None,
        callback: RunCallback | None = None,
        scorers: SharedPool | None = None,
    ) -> Record:
        """Run it on a model that `load` gave, or that was made otherwise; `plan` is its own."""
        plan = plan or self.plan(model)
        with writing(self.options.out, OUT):
            return run(
                plan,
                model,
                self.options,
                judges=self.judges(),
                callback=callback,
                scorers=scorers,
            )
