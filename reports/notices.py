"""What must be said before a run's numbers are read: why they cannot be compared or trusted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from olmes.comparison.eligibility import Kind, Reservation, differs, items_in_words
from olmes.records.reasons import why
from olmes.records.record import Record
from olmes.records.schema import RunRecord, TaskResult
from olmes.records.shown import THOUGHTS, shown_share
from olmes.reports.links import HELD_OUT, samples_link
from olmes.reports.numbers import count

Level = Literal["stop", "caution"]
Bound = Literal["", "items", "settings", "nothing"]
"""What a notice leaves to compare numbers with: runs of the same items, of the same settings, none;
'' where it takes nothing away."""

DEMO = "Demo data: not comparable"
"""The title of the banner over numbers that are not the benchmark's."""
DEMO_DATA = "the built-in demo data, a few dozen items written for this project"
ONLY_RUNS = "These numbers show that the program runs and nothing else."


@dataclass(frozen=True, slots=True)
class Notice:
    """One banner. `stop`: the numbers are not the benchmark's; `caution`: read them with care."""

    level: Level
    title: str
    text: str
    link: str = ""
    """Where the samples concerned can be seen, as a URL fragment."""
    short: str = ""
    """What the one line above all notices says of it; the title by default."""
    bound: Bound = ""


@dataclass(frozen=True, slots=True)
class NoticeHead:
    """The one line above a page's notices, which unfold below it."""

    level: Level
    what: str
    """What is odd, in a few words."""
    comparable: str
    """What the numbers can be compared with; '' where nothing is taken away."""


BRIEF = 40
"""Letters of what a limit left that the one line has room for."""
SAID = 4
"""Notices that the one line names; it counts the others."""


def notice_head(notices: Sequence[Notice], warnings: Sequence[str] = ()) -> NoticeHead | None:
    """The one line above some notices; None where there is nothing to say.

    Args:
        notices: the gravest first.
        warnings: sentences of the run beside them.
    """
    if not notices and not warnings:
        return None
    named = [one.short or f"{one.title[:1].lower()}{one.title[1:]}" for one in notices]
    if warnings:
        named.append(f"{len(warnings)} warning{'' if len(warnings) == 1 else 's'} of the run")
    named = list(dict.fromkeys(named))
    more = [f"{len(named) - SAID} more"] if len(named) > SAID + 1 else []
    what = ", ".join([*(named[:SAID] if more else named), *more])
    stop = any(one.level == "stop" for one in notices)
    bounds = {one.bound for one in notices}
    return NoticeHead(
        "stop" if stop else "caution", f"{what[:1].upper()}{what[1:]}", comparable_with(bounds)
    )


def comparable_with(bounds: Collection[Bound]) -> str:
    """What numbers can be compared with, by what their notices leave of it; '' for all."""
    if "nothing" in bounds:
        return "comparable with no other run"
    same = [bound for bound in ("items", "settings") if bound in bounds]
    return f"comparable with runs of the same {' and '.join(same)} only" if same else ""


def record_notices(record: Record, sealed: Collection[str] = ()) -> list[Notice]:
    """As `run_notices`, and before all that its file was changed after it was written."""
    return [*changed_notice(record), *run_notices(record.run, sealed)]


def changed_notice(record: Record) -> list[Notice]:
    """That a record's file was changed after it was written; none where it was not."""
    return (
        [Notice("stop", "Changed record", f"{record.altered}.", bound="nothing")]
        if record.altered
        else []
    )


def run_notices(run: RunRecord, sealed: Collection[str] = ()) -> list[Notice]:
    """What the fields of a record say against its numbers, the gravest first.

    `run.json` has `warnings` besides: sentences that may repeat this.

    Args:
        run: the record.
        sealed: tasks whose samples are under seal, so that no link leads to them.
    """
    found = [
        *_demo_data(run),
        *_incomplete(run),
        *_not_run(run),
        *_failed(run, sealed),
        *_other_data(run),
        *_formulation(run),
        *_limit(run),
        *_scorer(run, sealed),
        *_judging(run, sealed),
        *_cut_prompts(run, sealed),
        *_thoughts(run, sealed),
    ]
    return sorted(found, key=lambda notice: notice.level != "stop")


def fallen(titles: Sequence[str]) -> list[Notice]:
    """Which of a training's series its latest checkpoint has fallen on; none where there is none."""
    if not titles:
        return []
    text = f"{', '.join(titles)}: the latest checkpoint is worse than an earlier one beyond chance."
    return [Notice("caution", "Fallen", text, "#best")]


def _titles(run: RunRecord, chosen: Callable[[TaskResult], bool]) -> str:
    """The titles of the tasks for which `chosen` holds, or '' when there are none."""
    return ", ".join(run.title(name) for name, task in run.tasks.items() if chosen(task))


def _total(tasks: Iterable[TaskResult], *kinds: str) -> int:
    return sum(task.said(kind) for task in tasks for kind in kinds)


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _flag_link(tasks: Mapping[str, TaskResult], flag: str, sealed: Collection[str]) -> str:
    """Where the samples with a flag are, as far as they are not under seal."""
    names = [name for name, task in tasks.items() if task.said(flag)]
    browsable = [name for name in names if name not in sealed]
    if names and not browsable:
        return HELD_OUT
    return samples_link(task=browsable[0] if len(browsable) == 1 else "", flag=flag)


def _counted(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def _why(run: RunRecord, flag: str) -> str:
    """The commonest reasons behind a count, task by task; '' in records that name none."""
    concerned = [name for name, task in run.tasks.items() if task.said(flag)]
    reasons = {name: why(run.tasks[name], flag).removeprefix(": ") for name in concerned}
    said = [
        f"{f'{run.title(name)}: ' if len(concerned) > 1 else ''}{reason}"
        for name, reason in reasons.items()
        if reason
    ]
    return f" Why: {'; '.join(said)}." if said else ""


def _demo_data(run: RunRecord) -> list[Notice]:
    titles = _titles(run, lambda task: task.demo)
    if not titles:
        return []
    text = f"{titles}: scored on {DEMO_DATA}, not on the benchmark. {ONLY_RUNS}"
    return [demo_notice(text)]


def demo_notice(text: str) -> Notice:
    """That numbers are of demo data."""
    return Notice("stop", DEMO, text, short="demo data", bound="items")


KINDS: dict[Kind, tuple[str, Bound]] = {
    "no number": ("No number", ""),
    "incomplete": ("Incomplete run", "nothing"),
    "limited": ("Limited run", "items"),
    "not standard": ("Formulation not standard", "settings"),
    "data differ": ("Data differs from the official set", "items"),
}
"""How what a run's numbers are not (`eligibility`) is headed; demo data have a notice of their own."""


def reservation_notices(said: Iterable[tuple[str, Sequence[Reservation]]]) -> list[Notice]:
    """What the numbers of several runs are not, each kind once.

    Args:
        said: by what each run or model is called, what its numbers are not.
    """
    of: dict[Kind, dict[str, list[str]]] = {}
    for name, reservations in said:
        for one in reservations:
            of.setdefault(one.kind, {}).setdefault(one.sentence, []).append(name)
    found = []
    for kind, (title, bound) in KINDS.items():
        if sentences := of.get(kind):
            text = "; ".join(f"{', '.join(names)}: {words}" for words, names in sentences.items())
            brief = next(iter(sentences)) if len(sentences) == 1 else ""
            short = brief if brief and len(brief) <= BRIEF else ""
            level: Level = "stop" if bound == "nothing" else "caution"
            found.append(Notice(level, title, f"{text}.", short=short, bound=bound))
    return found


def _incomplete(run: RunRecord) -> list[Notice]:
    missing = run.suite.missing if run.suite else []
    found = []
    if missing:
        text = (
            f"The mean is that of the other tasks, without {', '.join(missing)}. "
            "It cannot be compared with the mean of the whole suite."
        )
        found.append(Notice("stop", "Suite incomplete", text, short=f"mean {without(missing)}"))
    # A suite that lacks nothing but whole tasks has all of its responses.
    if not run.complete or (run.suite and not run.suite.complete and not missing):
        text = (
            "Some responses or verdicts are missing, so the numbers may still change; run it again."
        )
        found.append(Notice("stop", "Incomplete run", text, bound="nothing"))
    return found


def without(names: Sequence[str]) -> str:
    """Which tasks a mean lacks, in a few words."""
    return f"without {', '.join(names)}" if len(names) < 4 else f"without {len(names)} tasks"


def _not_run(run: RunRecord) -> list[Notice]:
    return [Notice("stop", "Not run", f"{name}: {why}") for name, why in run.not_run.items()]


def _failed(run: RunRecord, sealed: Collection[str]) -> list[Notice]:
    failed = _total(run.tasks.values(), "failed")
    if not failed:
        return []
    titles = _titles(run, lambda task: task.said("failed") > 0)
    why = _why(run, "failed")
    text = f"{titles}: {_counted(failed, 'request')} got no response and no score.{why}"
    link = _flag_link(run.tasks, "failed", sealed)
    return [Notice("stop", "Failed requests", text, link, bound="nothing")]


def _other_data(run: RunRecord) -> list[Notice]:
    found = []
    if titles := _titles(run, differs):
        notes = [note for task in run.tasks.values() if differs(task) for note in task.data.notes]
        text = f"{titles}: the items are not those of the official files. {' '.join(notes)}"
        title = "Data differs from the official set"
        found.append(Notice("caution", title, text.strip(), bound="items"))
    if titles := _titles(run, lambda task: bool(task.data.undeclared)):
        text = (
            f"{titles}: no content hash is declared, so that nobody can know other items from these; "
            "`olmes data list` says what to write into the task's source."
        )
        found.append(Notice("caution", "Data not declared", text, bound="items"))
    return found


def _formulation(run: RunRecord) -> list[Notice]:
    titles = _titles(run, lambda task: not task.standard)
    if not titles:
        return []
    changed = [
        f"{name}.{key}={value}"
        for name, task in run.tasks.items()
        for key, value in task.settings.items()
    ]
    which = f" ({', '.join(changed)})" if changed else ""
    text = (
        f"{titles}: settings differ from the published formulation{which}, "
        "so these numbers cannot be compared with published ones."
    )
    return [Notice("caution", "Formulation not standard", text, bound="settings")]


def _limit(run: RunRecord) -> list[Notice]:
    items = items_in_words(run)
    if not items:
        return []
    text = f"{items[:1].upper()}{items[1:]}, not the whole benchmark."
    short = f"limited to {items}" if len(items) <= BRIEF else "limited"
    return [Notice("caution", "Limited run", text, short=short, bound="items")]


def _scorer(run: RunRecord, sealed: Collection[str]) -> list[Notice]:
    tasks = run.tasks.values()
    kinds = [kind for kind in ("timeout", "crashed") if _total(tasks, kind)]
    if not kinds:
        return []
    text = f"{_counted(_total(tasks, *kinds), 'response')}: the scorer ran out of time or crashed."
    text += _why(run, "crashed")
    return [Notice("caution", "Scorer stopped", text, _flag_link(run.tasks, kinds[0], sealed))]


def _judging(run: RunRecord, sealed: Collection[str]) -> list[Notice]:
    found = []
    if unjudged := _total(run.tasks.values(), "unjudged"):
        text = f"{_counted(unjudged, 'response')} got no judgement and no score."
        text += _why(run, "unjudged")
        link = _flag_link(run.tasks, "unjudged", sealed)
        found.append(Notice("stop", "Not judged", text, link, bound="nothing"))
    by_judge = {name: task for name, task in run.tasks.items() if task.judge}
    if unread := _total(by_judge.values(), "unparsed"):
        out = sum(task.unread for task in by_judge.values())
        text = f"{_counted(unread, 'judgement')} could not be read"
        if out == unread:
            text += f" and {_are(unread)} in no score."
        elif out:
            text += f", of which {out} {_are(out)} in no score."
        else:
            text += "; the task gave the responses values, which are in the score."
        link = _flag_link(by_judge, "unparsed", sealed)
        found.append(Notice("caution", "Judgements unread", text, link))
    return found


def _cut_prompts(run: RunRecord, sealed: Collection[str]) -> list[Notice]:
    cut = _total(run.tasks.values(), "prompt_truncated")
    if not cut:
        return []
    text = f"{_counted(cut, 'prompt')} did not fit the model's window and lost the beginning."
    link = _flag_link(run.tasks, "prompt_truncated", sealed)
    return [Notice("caution", "Prompts cut", text, link)]


def _thoughts(run: RunRecord, sealed: Collection[str]) -> list[Notice]:
    """Thoughts that never ended, and marks of thoughts that stand in answers."""
    titles = {"unfinished_thinking": "Unfinished thinking", "thought_marks": "Marks of a thought"}
    found = []
    for flag, title in titles.items():
        if total := _total(run.tasks.values(), flag):
            names = _titles(run, lambda task, flag=flag: task.said(flag) > 0)  # type: ignore[misc]
            share = shown_share(total, sum(task.n for task in run.tasks.values()))
            text = f"{names}: {_counted(total, 'response')} ({share}) {THOUGHTS[flag]}."
            found.append(Notice("caution", title, text, _flag_link(run.tasks, flag, sealed)))
    return found
