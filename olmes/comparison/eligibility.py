"""Whether a run's numbers are complete, standard and over all items, and else over which of them.

The one answer for boards, pages, exports, generalization and the server. It goes by `run.json` alone,
and by items: a task asked for 150 of its 400 items is limited, however many responses each had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from olmes.records.aggregate import run_mean
from olmes.records.schema import BROKEN, RunRecord, TaskResult
from olmes.tools.hashing import content_hash

Kind = Literal[
    "no number", "incomplete", "demo data", "limited", "not standard", "data differ"
]  # fmt: skip
UNRANKED: frozenset[Kind] = frozenset(("no number", "incomplete"))
"""With one of these a run's number is not what it says, and is ranked beside no other."""
NOT_STANDARD = "!"
"""Stands behind a name whose formulation is not the published one."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """One thing that a run's numbers are not, though their names promise it."""

    kind: Kind
    sentence: str
    """With the tasks that it is said of; no capital letter, no full stop."""

    @property
    def mark(self) -> str:
        """What stands beside a number: `!` for another formulation, else the kind."""
        return NOT_STANDARD if self.kind == "not standard" else self.kind


def reservations(run: RunRecord, tasks: Sequence[str] = ()) -> list[Reservation]:
    """What keeps a run's numbers from being complete, standard and over all items of real data.

    Args:
        run: the record.
        tasks: those whose numbers are asked about, which may be missing from the run; by default the
            whole run with every member of its suite.

    Returns:
        The weightiest first; empty for a full, standard, complete number.
    """
    names = list(tasks) or members(run)
    there = {name: run.tasks[name] for name in names if name in run.tasks}
    limited = [name for name, task in there.items() if is_limited(run, task)]
    found: list[tuple[Kind, str]] = [
        ("no number", named("no number for", without_number(run, names, whole_run=not tasks))),
        ("incomplete", incomplete(run, there, whole_run=not tasks)),
        ("demo data", named("demo data in", [n for n, task in there.items() if task.demo])),
        ("limited", limited_to(run, limited)),
        (
            "not standard",
            named(
                "not the standard formulation of",
                [name for name, task in there.items() if not task.standard],
            ),
        ),
        (
            "data differ",
            named(
                "data differ from the official set in",
                [name for name, task in there.items() if differs(task)],
            ),
        ),
        (
            "data differ",
            named(
                "no official data are declared for",
                [name for name, task in there.items() if task.data.undeclared],
            ),
        ),
    ]
    return [Reservation(kind, sentence) for kind, sentence in found if sentence]


def differs(task: TaskResult) -> bool:
    """Whether a task's items are known not to be those of its official set."""
    return not (task.data.official or task.demo or task.data.undeclared)


def marks(run: RunRecord, tasks: Sequence[str] = ()) -> list[str]:
    """The short marks of `reservations`."""
    return [one.mark for one in reservations(run, tasks)]


def why_not_ranked(run: RunRecord, tasks: Sequence[str] = ()) -> list[str]:
    """What keeps a run's numbers out of every ranking, a sentence each; empty where nothing does."""
    return [one.sentence for one in reservations(run, tasks) if one.kind in UNRANKED]


def members(run: RunRecord) -> list[str]:
    """The tasks that a run should have numbers for: those of its suite, or those it was of."""
    suite = run.suite
    of_suite = [*suite.tasks, *suite.missing] if suite else []
    return list(dict.fromkeys([*of_suite, *run.tasks]))


def without_number(run: RunRecord, names: Sequence[str], *, whole_run: bool) -> list[str]:
    """Which of a run's tasks have no number; its mean, where that alone has none."""
    found = [name for name in names if not has_number(run, name)]
    mean = run_mean(run) if whole_run else None
    return ["the mean"] if not found and mean and mean.estimate is None else found


def has_number(run: RunRecord, name: str) -> bool:
    """Whether a run has a finite number for a task, the ends of its interval included."""
    task = run.tasks.get(name)
    return task is not None and task.score.estimate is not None


def incomplete(run: RunRecord, tasks: dict[str, TaskResult], *, whole_run: bool) -> str:
    """Which responses have no score, or that the record says so without naming any; '' for none."""
    lacking = [
        f"{broken:,} of {task.n:,} responses of {name} have no score"
        for name, task in tasks.items()
        if (broken := sum(task.said(flag) for flag in BROKEN))
    ]
    lacking += [
        f"no number for {', '.join(groups)} of {name}"
        for name, task in tasks.items()
        if (groups := lost_groups(task))
    ]
    if lacking:
        return f"incomplete: {'; '.join(lacking)}"
    if whole_run and not run.complete:
        return "incomplete: some responses or verdicts are missing"
    suite = run.suite
    return "incomplete suite" if whole_run and suite and told_incomplete(run) else ""


def told_incomplete(run: RunRecord) -> bool:
    """Whether a suite is called incomplete, and not for a member that has no number."""
    suite = run.suite
    return suite is not None and not (suite.complete or suite.missing)


def lost_groups(task: TaskResult) -> list[str]:
    """The sub-tasks of a macro average that are not in it."""
    if not task.macro:
        return []
    return [*(task.data.missing or ())] + [
        name
        for name, group in task.subtasks.items()
        if (score := group.metrics.get(task.primary)) is None or score.estimate is None
    ]


def asked(run: RunRecord, task: TaskResult) -> int:
    """How many of a task's items were asked, each with one response or several.

    Older records that do not say how many responses an item had are taken at their limit.
    """
    if task.items is not None:
        return task.items
    return task.data.n if run.limit is None else min(run.limit, task.data.n)


def is_limited(run: RunRecord, task: TaskResult) -> bool:
    """Whether items of a task were left out; a limit that leaves none out is none."""
    return run.limit is not None and asked(run, task) < task.data.n


def limited_to(run: RunRecord, names: Sequence[str]) -> str:
    """How many items some limited tasks were asked; '' without such tasks."""
    if not names:
        return ""
    counts = {asked(run, run.tasks[name]) for name in names}
    how = ", named one by one" if run.named is True else ""
    if len(names) > 1 and len(counts) == 1:
        return f"limited to {counts.pop():,} items a task{how}"
    said = ", ".join(
        f"{asked(run, run.tasks[name]):,} of {run.tasks[name].data.n:,} items of {name}"
        for name in names
    )
    return f"limited to {said}{how}"


def items_in_words(run: RunRecord, tasks: Sequence[str] = ()) -> str:
    """Over which items a run's numbers are: `200 items a task`; '' where they are over all."""
    return next(
        (
            one.sentence.removeprefix("limited to ")
            for one in reservations(run, tasks)
            if one.kind == "limited"
        ),
        "",
    )


def item_set(run: RunRecord, tasks: Sequence[str] = ()) -> str:
    """16 hex digits of the items that limited tasks were asked; '' where all items were.

    Two runs on the same data with equal answers were asked the same items, and both drew them or both
    named them: a few that somebody chose are no sample. Records without `items_hash` go by limit and
    count: a limit always draws the same items of the same data.
    """
    sets = {
        name: task.items_hash or [run.limit, asked(run, task)]
        for name, task in sorted(run.tasks.items())
        if (not tasks or name in tasks) and is_limited(run, task)
    }
    return content_hash([sets, "named"] if run.named is True else sets)[:16] if sets else ""


def named(words: str, names: Sequence[str]) -> str:
    """Words with the names they are said of; '' without names."""
    return f"{words} {', '.join(names)}" if names else ""
