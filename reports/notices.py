"""What must be said before a run's numbers are read: why they cannot be compared or trusted."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

from olmes.reports.links import HELD_OUT, samples_link
from olmes.reports.numbers import count

Level = Literal["stop", "caution"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One banner. `stop`: the numbers are not the benchmark's; `caution`: read them with care."""

    level: Level
    title: str
    text: str
    link: str = ""
    """Where the samples concerned can be seen, as a URL fragment."""


def run_notices(run: dict[str, Any], sealed: Collection[str] = ()) -> list[Notice]:
    """What the fields of a record say against its numbers, the gravest first.

    `run.json` has `warnings` besides: sentences that may say the same again.

    Args:
        run: the record.
        sealed: tasks whose samples are under seal, so that no link leads to them.
    """
    found = [
        *_sample_data(run),
        *_incomplete(run),
        *_not_run(run),
        *_failed(run, sealed),
        *_other_data(run),
        *_formulation(run),
        *_limit(run),
        *_scorer(run, sealed),
        *_judging(run, sealed),
        *_cut_prompts(run, sealed),
    ]
    return sorted(found, key=lambda notice: notice.level != "stop")


def _titles(run: dict[str, Any], chosen: Callable[[dict[str, Any]], bool]) -> str:
    """The titles of the tasks for which `chosen` holds, or '' when there are none."""
    return ", ".join(
        task.get("title") or name for name, task in run["tasks"].items() if chosen(task)
    )


def _total(run: dict[str, Any], *kinds: str) -> int:
    counts = (task.get("counts", {}) for task in run["tasks"].values())
    return sum(each.get(kind) or 0 for each in counts for kind in kinds)


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _flag_link(run: dict[str, Any], flag: str, sealed: Collection[str]) -> str:
    """Where the samples with a flag are, as far as they are not under seal."""
    names = [name for name, task in run["tasks"].items() if task.get("counts", {}).get(flag)]
    browsable = [name for name in names if name not in sealed]
    if names and not browsable:
        return HELD_OUT
    return samples_link(task=browsable[0] if len(browsable) == 1 else "", flag=flag)


def _counted(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def _sample_data(run: dict[str, Any]) -> list[Notice]:
    titles = _titles(run, lambda task: task["data"]["origin"] == "sample")
    if not titles:
        return []
    text = (
        f"{titles}: scored on the built-in sample, a few dozen items written for this project, "
        "not on the benchmark. These numbers show that the program runs and nothing else."
    )
    return [Notice("stop", "Sample data: not comparable", text)]


def _incomplete(run: dict[str, Any]) -> list[Notice]:
    suite = run.get("suite") or {}
    found = []
    if missing := suite.get("missing"):
        text = (
            f"The mean is that of the other tasks, without {', '.join(missing)}. "
            "It cannot be set beside the mean of the whole suite."
        )
        found.append(Notice("stop", "Suite incomplete", text))
    # A suite that lacks nothing but whole tasks has all of its responses.
    if not run.get("complete", True) or not (suite.get("complete", True) or missing):
        text = (
            "Some responses or verdicts are missing, so the numbers may still change; run it again."
        )
        found.append(Notice("stop", "Incomplete run", text))
    return found


def _not_run(run: dict[str, Any]) -> list[Notice]:
    return [
        Notice("stop", "Not run", f"{name}: {why}")
        for name, why in (run.get("not_run") or {}).items()
    ]


def _failed(run: dict[str, Any], sealed: Collection[str]) -> list[Notice]:
    failed = _total(run, "failed")
    if not failed:
        return []
    titles = _titles(run, lambda task: bool(task.get("counts", {}).get("failed")))
    text = f"{titles}: {_counted(failed, 'request')} got no response and no score."
    return [Notice("stop", "Failed requests", text, _flag_link(run, "failed", sealed))]


def _other_data(run: dict[str, Any]) -> list[Notice]:
    def differs(task: dict[str, Any]) -> bool:
        return not task["data"].get("official") and task["data"]["origin"] != "sample"

    titles = _titles(run, differs)
    if not titles:
        return []
    notes = [
        note for t in run["tasks"].values() if differs(t) for note in t["data"].get("notes", ())
    ]
    text = f"{titles}: the items are not those of the official files. {' '.join(map(str, notes))}"
    return [Notice("caution", "Data differs from the official set", text.strip())]


def _formulation(run: dict[str, Any]) -> list[Notice]:
    titles = _titles(run, lambda task: not task.get("standard", True))
    if not titles:
        return []
    changed = [
        f"{name}.{key}={value}"
        for name, task in run["tasks"].items()
        for key, value in (task.get("settings") or {}).items()
    ]
    which = f" ({', '.join(changed)})" if changed else ""
    text = (
        f"{titles}: settings differ from the published formulation{which}, "
        "so these numbers cannot be set beside published ones."
    )
    return [Notice("caution", "Formulation not standard", text)]


def _limit(run: dict[str, Any]) -> list[Notice]:
    if run.get("limit") is None:
        return []
    text = f"At most {_counted(run['limit'], 'item')} a task, not the whole benchmark."
    return [Notice("caution", "Limited run", text)]


def _scorer(run: dict[str, Any], sealed: Collection[str]) -> list[Notice]:
    stopped = _total(run, "timeout", "crashed")
    if not stopped:
        return []
    kinds = [kind for kind in ("timeout", "crashed") if _total(run, kind)]
    text = f"{_counted(stopped, 'response')}: the scorer ran out of time or crashed."
    return [Notice("caution", "Scorer stopped", text, _flag_link(run, kinds[0], sealed))]


def _judging(run: dict[str, Any], sealed: Collection[str]) -> list[Notice]:
    found = []
    if unjudged := _total(run, "unjudged"):
        text = f"{_counted(unjudged, 'response')} got no judgement and no score."
        found.append(Notice("stop", "Not judged", text, _flag_link(run, "unjudged", sealed)))
    judged = {name: task for name, task in run["tasks"].items() if task.get("judge")}
    unread = _total(run | {"tasks": judged}, "unparsed")
    if unread:
        text = f"{_counted(unread, 'judgement')} could not be read and {_are(unread)} in no score."
        link = _flag_link(run | {"tasks": judged}, "unparsed", sealed)
        found.append(Notice("caution", "Judgements unread", text, link))
    return found


def _cut_prompts(run: dict[str, Any], sealed: Collection[str]) -> list[Notice]:
    cut = _total(run, "prompt_truncated")
    if not cut:
        return []
    text = f"{_counted(cut, 'prompt')} did not fit the model's window and lost the beginning."
    return [Notice("caution", "Prompts cut", text, _flag_link(run, "prompt_truncated", sealed))]
