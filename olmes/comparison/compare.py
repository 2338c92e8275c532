"""Two runs, task by task: the paired difference, its verdict, and the items that flipped."""

from __future__ import annotations

from typing import Any, Literal

from olmes import stats
from olmes.comparison.alignment import (
    Aligned,
    ItemResponses,
    align,
    describe,
    has_samples,
    items_of,
    mismatch,
    weights,
)
from olmes.comparison.why import Cause, causes
from olmes.records.record import Record
from olmes.stats import Difference, Estimate, PairedDifference

MARGIN = 0.01
"""Half-width within which two scores count as tied: one percentage point."""


def compare_runs(
    a: Record, b: Record, *, force: bool = False, margin: float = MARGIN
) -> dict[str, Any]:
    """Hold run `b`, the candidate, against run `a`, the baseline.

    Args:
        a: the baseline.
        b: the candidate; differences are `b` less `a`.
        force: compare tasks whose formulations or data differ all the same, marked.
        margin: half-width within which two scores count as tied.

    Returns:
        `runs`; `why`, everything that differs in how the numbers came about; `tasks`, one entry a
        task of both runs, with both estimates, the `difference` (`stats.PairedDifference`, its
        p-value corrected by Holm over the tasks) and the `flips` (items right in one run only);
        `refused`, tasks whose numbers are not of the same thing, with the reason; `unpaired`, tasks
        whose samples are under seal in one of the runs; `only`, tasks of one run alone; `suite`, the
        difference of the means over the compared tasks.
    """
    common = [name for name in a.tasks if name in b.tasks]
    why = causes(a, b)
    tasks: dict[str, dict[str, Any]] = {}
    paired: dict[str, PairedDifference] = {}
    refused, unpaired = [], []
    for name in common:
        reasons = mismatch(name, a, b)
        if reasons and not force:
            refused.append({"name": name, "title": a.tasks[name]["title"], "reasons": reasons})
            continue
        entry = task_entry(name, a, b) | {"mismatch": reasons}
        if not (has_samples(name, a) and has_samples(name, b)):
            unpaired.append(entry | {"difference": gap(entry)})
            continue
        metric = a.tasks[name]["primary"]
        aligned = align(items_of(a.samples(name)), items_of(b.samples(name)), metric)
        if not reasons:
            why += prompt_causes(name, aligned)
        tasks[name] = entry | common_items(aligned) | {"flips": flips(aligned, metric)}
        if aligned.keys:
            paired[name] = paired_difference(aligned, metric, a.tasks[name], margin)
    corrected = stats.with_holm(paired)
    for name, entry in tasks.items():
        found = corrected.get(name)
        entry["difference"] = found.to_json() if found else None
    mean = stats.suite_difference(corrected)
    return {
        "runs": [describe(a), describe(b)],
        "margin": margin,
        "why": [cause.to_json() for cause in why],
        "tasks": list(tasks.values()),
        "unpaired": unpaired,
        "refused": refused,
        "only": [[name for name in one.tasks if name not in other.tasks]
                 for one, other in ((a, b), (b, a))],
        "suite": suite_entry(mean, list(corrected)),
    }  # fmt: skip


def task_entry(name: str, a: Record, b: Record) -> dict[str, Any]:
    """A task's name and its two estimates, as the records have them."""
    ours, theirs = a.tasks[name], b.tasks[name]
    metric = ours["primary"]
    return {
        "name": name,
        "title": ours["title"],
        "metric": metric,
        "higher_is_better": ours["metrics"][metric].get("higher_is_better", True),
        "a": ours["metrics"][metric],
        "b": theirs["metrics"].get(metric) or theirs["metrics"][theirs["primary"]],
    }


def paired_difference(
    aligned: Aligned,
    metric: str,
    task: dict[str, Any],
    margin: float,
    test: Literal["exact", "t"] = "exact",
) -> PairedDifference:
    """The difference of two runs on the same items; `test` as for `stats.compare`."""
    positions = range(len(aligned.keys))
    macro = task["formulation"]["aggregate"] == "macro"
    over_parts = any(item.parts(metric) != 1 for item in aligned.a)
    return stats.compare(
        [required(item, metric) for item in aligned.a],
        [required(item, metric) for item in aligned.b],
        clusters=[aligned.cluster(position) for position in positions],
        strata=[key[0] for key in aligned.keys] if macro else None,
        sizes=weights(aligned, metric) if over_parts else None,
        margin=margin,
        higher_is_better=task["metrics"][metric].get("higher_is_better", True),
        test=test,
    )


def required(item: ItemResponses, metric: str) -> float:
    """The value of an item that is known to have one."""
    value = item.value(metric)
    assert value is not None
    return value


def gap(entry: dict[str, Any]) -> dict[str, Any] | None:
    """The difference of two estimates whose items cannot be paired."""
    if entry["a"]["value"] is None or entry["b"]["value"] is None:
        return None
    first, second = (Estimate.from_json(entry[run]) for run in ("a", "b"))
    return stats.generalization_gap(second, first).to_json()


def common_items(aligned: Aligned) -> dict[str, Any]:
    """How many items were compared, and how many one run alone has."""
    return {
        "n": len(aligned.keys),
        "only_a": aligned.only_a,
        "only_b": aligned.only_b,
        "prompts_differ": aligned.prompts_differ,
    }


def flips(aligned: Aligned, metric: str) -> list[dict[str, Any]]:
    """The items whose values differ, with the first response of each run; gains first."""
    found = []
    for (subtask, doc_id, doc_hash), one, other in zip(
        aligned.keys, aligned.a, aligned.b, strict=True
    ):
        before, after = required(one, metric), required(other, metric)
        if before != after:
            found.append(
                {
                    "subtask": subtask,
                    "doc_id": doc_id,
                    "doc_hash": doc_hash,
                    "a": before,
                    "b": after,
                    "row_a": one.rows[0],
                    "row_b": other.rows[0],
                }
            )
    return sorted(found, key=lambda flip: flip["a"] - flip["b"])


def prompt_causes(name: str, aligned: Aligned) -> list[Cause]:
    """Whether the items' prompts differ although the formulations need not."""
    if not aligned.prompts_differ:
        return []
    share = f"{aligned.prompts_differ} of {len(aligned.keys)} items"
    return [Cause("prompt", "prompt_hash", share, share, name)]


def suite_entry(mean: Difference | None, names: list[str]) -> dict[str, Any] | None:
    """The difference of the means over the tasks that were compared."""
    return None if mean is None else {"tasks": names, "difference": mean.to_json()}
