"""Whether what was tuned on the development suite holds on held-out tasks.

Tülu 3 sets each skill's development and unseen score side by side (Tables 3 and 31): a gain on one
that does not show on the other was made for the benchmark. This module takes the records of one or
several models, finds for each its development and its held-out scores, and says for each pair: both
scores, the gap and its interval, and, over several checkpoints, whether the gains carry over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from olmes import stats
from olmes.benchmark.suite import Pair
from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.stats import Estimate

if TYPE_CHECKING:
    from olmes.stats import CarryOver


@dataclass(kw_only=True)
class ModelScores:
    """One model's records: its development scores and its held-out ones."""

    name: str
    fingerprint: str
    dev: list[Record] = field(default_factory=list)
    unseen: list[Record] = field(default_factory=list)

    def newest(self) -> dict[str, Record]:
        """The newest record of each task."""
        found: dict[str, Record] = {}
        for record in (*self.dev, *self.unseen):
            for name in record.tasks:
                found.setdefault(name, record)
        return found

    def record_of(self, name: str) -> Record | None:
        """The newest record that has a task; None where none has."""
        return self.newest().get(name)

    def task(self, name: str) -> dict[str, Any] | None:
        """A task's entry in the newest record that has it; None where none has."""
        record = self.record_of(name)
        return record.tasks[name] if record else None

    def to_json(self) -> dict[str, Any]:
        """Who it is, which runs were read, and what the ledger says of its looks."""
        looks = [record.data["held_out"] for record in self.unseen]
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "runs": [record.id for record in (*self.dev, *self.unseen)],
            "run_of": {name: record.id for name, record in self.newest().items()},
            "sample_data": sorted(
                name
                for record in (*self.dev, *self.unseen)
                for name, task in record.tasks.items()
                if task["data"]["origin"] == "sample"
            ),
            "looks": [
                {key: look[key] for key in ("family", "looks_before", "dev", "reason", "time")}
                for look in looks
            ],
        }


def generalization(records: Iterable[Record], pairs: Sequence[Pair] = ()) -> dict[str, Any]:
    """Development and held-out scores side by side.

    Args:
        records: of one or several models, in the order of training where they are its checkpoints;
            of several records of one task the newest counts.
        pairs: which tasks are held against which; by default those that the held-out suites among
            the records name.

    Returns:
        `models` (name, fingerprint, runs, looks, and `run_of`, the run that each task's numbers are
        from); `pairs`, each with `dev` and `unseen` (task
        names), `rows` (one a model: `dev`, `unseen` and `gap`, an estimate each or None, and
        `left_out`, the tasks without a score, and `runs`, which run each task's score is from),
        `carry_over` (`stats.CarryOver`) and `in_words`, what that says; `suites`, the same for the
        suites' means, with `runs` by `dev` and `unseen`; `diagnosis`, by model and then by task.

    Raises:
        OlmesError: no record is of a held-out suite, and no pairs are given.
    """
    models = by_model(records)
    pairs = pairs or named_pairs(models)
    if not pairs:
        raise OlmesError(
            "none of these runs is of a held-out suite, so there is nothing to hold against the "
            "development scores; give a run of `olmes run --suite unseen` too."
        )
    return {
        "models": [model.to_json() for model in models],
        "suites": over_models([suite_row(model) for model in models]),
        "pairs": [pair_entry(pair, models) for pair in pairs],
        "diagnosis": [
            {
                name: record.tasks[name]["diagnosis"]
                for name, record in model.newest().items()
                if record.tasks[name].get("diagnosis")
            }
            for model in models
        ],
    }


def by_model(records: Iterable[Record]) -> list[ModelScores]:
    """The records by model, in the order in which the models first come; newest record first."""
    models: dict[str, ModelScores] = {}
    for record in records:
        described = record.data["model"]
        model = models.setdefault(
            described["fingerprint"],
            ModelScores(name=described["name"], fingerprint=described["fingerprint"]),
        )
        (model.unseen if record.data.get("held_out") else model.dev).append(record)
    for model in models.values():
        for group in (model.dev, model.unseen):
            group.sort(key=lambda record: str(record.data["created"]), reverse=True)
    return list(models.values())


def named_pairs(models: Sequence[ModelScores]) -> list[Pair]:
    """The pairs that the held-out suites among the records name, each once."""
    found = {}
    for model in models:
        for record in model.unseen:
            for pair in (record.data["suite"] or {}).get("pairs", ()):
                found[tuple(pair["dev"]), pair["unseen"]] = Pair(
                    dev=tuple(pair["dev"]), unseen=pair["unseen"]
                )
    return list(found.values())


def pair_entry(pair: Pair, models: Sequence[ModelScores]) -> dict[str, Any]:
    """One pair over all models."""
    return {**pair.to_json(), **over_models([pair_row(pair, model) for model in models])}


def over_models(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows, one a model, and whether the gains carry over from one to the next."""
    both = [(row["dev"], row["unseen"]) for row in rows if row["dev"] and row["unseen"]]
    found = stats.carry_over(
        [dev["value"] for dev, _ in both], [unseen["value"] for _, unseen in both]
    )
    return {"rows": rows, "carry_over": found.to_json(), "in_words": in_words(found)}


def in_words(found: CarryOver) -> str:
    """Whether development gains carry over, in a sentence."""
    if found.slope is None:
        return f"no trend: {found.reason}"
    if found.ci_low is None or found.ci_high is None:
        words = "too few models for an interval"
    elif found.ci_low > 0:
        words = "gains carry over"
    elif found.ci_high < 0:
        words = "what is gained on the development tasks is lost on the unseen one"
    else:
        words = "no carry-over is shown"
    interval = "" if found.ci_low is None else f" [{found.ci_low:.2f}, {found.ci_high:.2f}]"
    rank = f", rank correlation {found.spearman.value:.2f}" if found.spearman else ""
    return (
        f"{words}: {found.slope:.2f}{interval} points of unseen score a point of development "
        f"score over {found.checkpoints} models{rank}"
    )


def pair_row(pair: Pair, model: ModelScores) -> dict[str, Any]:
    """One pair for one model: the mean of the development tasks, the held-out task, and the gap."""
    scored = {name: primary(model.task(name)) for name in pair.dev}
    there = {name: estimate for name, estimate in scored.items() if estimate is not None}
    left_out = [name for name in pair.dev if name not in there]
    row = side_by_side(stats.suite_mean(there), primary(model.task(pair.unseen)), left_out)
    runs = {name: model.record_of(name) for name in (*there, pair.unseen)}
    return row | {"runs": {name: record.id for name, record in runs.items() if record}}


def suite_row(model: ModelScores) -> dict[str, Any]:
    """The means of a model's newest development and held-out suites; incomplete ones are named."""
    records = [
        next((record for record in group if record.data["suite"]), None)
        for group in (model.dev, model.unseen)
    ]
    found = [record.data["suite"] if record else None for record in records]
    missing = [name for suite in found if suite for name in suite.get("missing", ())]
    dev, unseen = (suite_estimate(suite) for suite in found)
    sides = zip(("dev", "unseen"), records, strict=True)
    runs = {side: record.id for side, record in sides if record}
    return side_by_side(dev, unseen, missing) | {"runs": runs}


def side_by_side(
    dev: Estimate | None, unseen: Estimate | None, left_out: Sequence[str]
) -> dict[str, Any]:
    """Two numbers and their gap, as JSON."""
    return {
        "dev": dev and dev.to_json(),
        "unseen": unseen and unseen.to_json(),
        "gap": stats.generalization_gap(dev, unseen).to_json() if dev and unseen else None,
        "left_out": list(left_out),
    }


def primary(task: dict[str, Any] | None) -> Estimate | None:
    """A task's primary metric; None where there is no number."""
    if task is None or task["metrics"][task["primary"]]["value"] is None:
        return None
    return Estimate.from_json(task["metrics"][task["primary"]])


def suite_estimate(suite: dict[str, Any] | None) -> Estimate | None:
    """A suite's mean; None where there is no number."""
    return None if suite is None or suite["value"] is None else Estimate.from_json(suite)
