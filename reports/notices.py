"""What must be said before a run's numbers are read: why they cannot be compared or trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .links import samples_link
from .numbers import count

Level = Literal["stop", "caution"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One banner. `stop`: the numbers are not the benchmark's; `caution`: read them with care."""

    level: Level
    title: str
    text: str
    link: str = ""
    """Where the samples concerned can be seen, as a URL fragment."""


def run_notices(run: dict[str, Any]) -> list[Notice]:
    """What the fields of a record say against its numbers, the gravest first.

    `run.json` has `warnings` besides: sentences that may say the same again.
    """
    found = [
        *_sample_data(run),
        *_incomplete(run),
        *_failed(run),
        *_other_data(run),
        *_formulation(run),
        *_limit(run),
        *_scorer(run),
        *_cut_prompts(run),
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
    if run.get("complete", True) and (run.get("suite") or {}).get("complete", True):
        return []
    text = "Some responses or verdicts are missing, so the numbers may still change; run it again."
    return [Notice("stop", "Incomplete run", text)]


def _failed(run: dict[str, Any]) -> list[Notice]:
    failed = _total(run, "failed")
    if not failed:
        return []
    titles = _titles(run, lambda task: bool(task.get("counts", {}).get("failed")))
    text = f"{titles}: {_counted(failed, 'request')} got no response and no score."
    return [Notice("stop", "Failed requests", text, samples_link(flag="failed"))]


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


def _scorer(run: dict[str, Any]) -> list[Notice]:
    stopped = _total(run, "timeout", "crashed")
    if not stopped:
        return []
    kinds = [kind for kind in ("timeout", "crashed") if _total(run, kind)]
    text = f"{_counted(stopped, 'response')}: the scorer ran out of time or crashed."
    return [Notice("caution", "Scorer stopped", text, samples_link(flag=kinds[0]))]


def _cut_prompts(run: dict[str, Any]) -> list[Notice]:
    cut = _total(run, "prompt_truncated")
    if not cut:
        return []
    text = f"{_counted(cut, 'prompt')} did not fit the model's window and lost the beginning."
    return [Notice("caution", "Prompts cut", text, samples_link(flag="prompt_truncated"))]
