"""What a training's log is drawn as: which numbers, under which title, in which unit.

The names are those that transformers' Trainer, TRL 1.16 and our own PPO log. Each chart tells one
story; numbers on different scales never share one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmes.reports import numbers
from olmes.reports.charts import Axis, Frame, frame_of
from olmes.reports.line_charts import FewPoints, LineChart, curve_chart, step_axis

Log = Sequence[Mapping[str, Any]]
"""Rows with `step` and numbers."""
Points = list[tuple[float, float]]
"""Steps and numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLog:
    """One stage of a training, as far as it went."""

    name: str = ""
    """As it is shown; '' where nothing is known but the log."""
    kind: str = ""
    """`sft`, `dpo`, `rlvr` or `reward`; '' where only the log can tell."""
    rows: Log = ()
    """Of its own log: steps begin at 1 in every stage."""
    before: float = 0
    """Steps of the stages before it."""
    done: bool = True

    @property
    def last(self) -> float:
        """Its last step."""
        return max((row["step"] for row in self.rows if has_step(row)), default=0)


@dataclass(frozen=True, slots=True)
class Curve:
    """A chart of a log's numbers."""

    title: str
    unit: str
    lines: Mapping[str, tuple[str, ...]]
    """By what each is called beside another: its names in logs, of which the first found is drawn.
    `eval_` names are found with the name of a data set within too: `eval_math_loss`."""
    stages: tuple[str, ...] = ()
    """Where it is drawn; everywhere by default."""
    percent: bool = False
    beside: str = ""
    """Only of a log that has this number too."""
    folded_if_zero: bool = False


LOGGED = "as logged"
SUMS = "as TRL logs it: a sum over tokens"
SFT, PREFERENCES, RL = ("sft",), ("dpo", "reward"), ("rlvr",)
CURVES = (
    Curve(
        "Loss per token", "nats",
        {"training": ("loss_per_token", "loss"), "validation": ("eval_loss",)}, SFT,
    ),
    Curve("Loss summed over an update", "nats", {"": ("loss",)}, SFT),
    Curve("Loss", "nats", {"training": ("loss",), "validation": ("eval_loss",)}, PREFERENCES),
    Curve("Loss", LOGGED, {"training": ("loss",), "validation": ("eval_loss",)}, ("",)),
    Curve(
        "Token accuracy", "% of tokens",
        {"training": ("mean_token_accuracy",), "validation": ("eval_mean_token_accuracy",)},
        (*SFT, ""), percent=True,
    ),
    Curve(
        "Normalized margin", "β × log-ratio per token",
        {"training": ("normalized_margin",), "validation": ("eval_normalized_margin",)},
    ),
    Curve(
        "Normalized accuracy", "% of pairs",
        {"training": ("normalized_accuracy",), "validation": ("eval_normalized_accuracy",)},
        percent=True,
    ),
    Curve(
        "Accuracy", "% of pairs", {"training": ("accuracy",), "validation": ("eval_accuracy",)},
        (*PREFERENCES, ""), percent=True,
    ),
    Curve(
        "Margin", "reward", {"training": ("margin",), "validation": ("eval_margin",)},
        (*PREFERENCES, ""),
    ),
    Curve(
        "Reward of chosen and rejected", "reward",
        {"mean": ("mean_reward",), "lowest": ("min_reward",), "highest": ("max_reward",)},
    ),
    Curve(
        "Reward", "mean of the responses",
        {
            "training": ("reward",), "without the cost of KL": ("score",),
            "validation": ("eval_reward",),
        },
    ),
    Curve("Verified", "% of responses", {"": ("verified",)}, percent=True),
    Curve("KL to the reference", "nats a response", {"": ("kl",)}, beside="value_loss"),
    Curve("KL to the reference", "nats a token", {"": ("kl",)}),
    Curve(
        "Entropy", "nats a token", {"training": ("entropy",), "validation": ("eval_entropy",)},
    ),
    Curve(
        "Clip fraction", "% of tokens",
        {
            "all": ("clip_ratio/region_mean", "clip_fraction", "cispo_clip_ratio"),
            "low": ("clip_ratio/low_mean",), "high": ("clip_ratio/high_mean",),
        }, percent=True,
    ),
    Curve(
        "Zero-variance groups", "% of prompts",
        {"": ("groups/zero_variance", "frac_reward_zero_std")}, percent=True,
    ),
    Curve("Standard deviation of the reward", "within a prompt", {"": ("reward_std",)}),
    Curve(
        "Response length", "tokens",
        {
            "all": ("completions/mean_length", "response_tokens"),
            "ended": ("completions/mean_terminated_length",),
        },
    ),
    Curve(
        "Ended and truncated responses", "% of responses",
        {
            "ended": ("completions/ended",),
            "truncated": ("completions/clipped_ratio", "completions/truncated", "no_end"),
        }, percent=True,
    ),
    Curve(
        "Unfinished thinking", "% of responses",
        {"": ("completions/unfinished_thinking",)}, percent=True,
    ),
    Curve(
        "Distinct 3-grams", "% of all",
        {"": ("completions/distinct_3", "distinct_3grams")}, percent=True,
    ),
    Curve(
        "Held-out constraints met", "% of constraints", {"": ("held_out_constraints",)},
        percent=True,
    ),
    Curve(
        "Verifiers that failed", "responses an update",
        {"out of time": ("verifier/timeouts",), "crashed": ("verifier/crashes",)},
        folded_if_zero=True,
    ),
    Curve("Policy loss", "surrogate", {"": ("policy_loss", "loss")}, RL),
    Curve("Value loss", "squared reward", {"": ("value_loss",)}),
    Curve(
        "Explained variance of the value model", "% of the returns' variance",
        {"": ("value_explained_variance",)}, percent=True,
    ),
    Curve(
        "Importance ratio", "mean",
        {"": ("importance_ratio_mean", "sampling/importance_sampling_ratio/mean")},
    ),
    Curve("Staleness of the responses", "updates", {"": ("staleness_mean",)}, folded_if_zero=True),
    Curve("Gradient norm", "before clipping", {"": ("grad_norm",)}),
    Curve("Learning rate", "as scheduled", {"": ("learning_rate",)}),
)  # fmt: skip
"""In the order of the page; a number is drawn by the first that takes it."""
KNOWN = frozenset(key for curve in CURVES for keys in curve.lines.values() for key in keys)
NOT_DRAWN = re.compile(r"step|epoch|stderr|total_flos|.*(_runtime|_per_second|step_time)")
"""What is no number of a training's progress."""
REWARDS = ("Reward", "Verified")
"""Charts that those of the single tasks follow."""
TELLING = {
    "dpo": "rewards/chosen", "rlvr": "reward", "reward": "mean_reward", "sft": "mean_token_accuracy",
}  # fmt: skip
"""By stage, a number that its trainer logs and those before it in this table do not."""
BY_TASK = re.compile(r"verifier/(.+)")
SERIES = 6
"""Lines that one chart can tell apart."""
FRAME = Frame(width=300, height=178, left=46, right=12, top=22, bottom=38)
PITCH, LEAST = 22, 96
"""Pixels that an update has room for in a chart of few, and the least width of axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCharts:
    """The charts of a stage's log."""

    axis: Axis
    frame: Frame
    main: tuple[LineChart | FewPoints, ...]
    more: tuple[LineChart | FewPoints, ...]
    """Everything else in the log, folded away: sums over tokens, numbers that stay zero."""


def stage_charts(stage: StageLog) -> StageCharts:
    """A stage's log on its own axis."""
    numbers_of = series_in(stage.rows)
    kind = stage.kind or kind_of(numbers_of)
    axis = stage_axis(stage.last)
    longest = max((len(points) for points in numbers_of.values()), default=0)
    frame = frame_of(longest, FRAME, pitch=PITCH, least=LEAST)
    left = dict(numbers_of)
    main: list[LineChart | FewPoints] = []
    more: list[LineChart | FewPoints] = []
    for curve in CURVES:
        if kind not in (curve.stages or (kind,)):
            continue
        if curve.beside and curve.beside not in numbers_of:
            continue
        found = list(taken(curve, left))[:SERIES]
        lines = {name: left.pop(key) for name, key in found}
        if not lines:
            continue
        zero = not any(value for points in lines.values() for _, value in points)
        into = more if curve.folded_if_zero and zero else main
        into.append(drawn(curve, lines, axis, frame))
    titles = [chart.title for chart in main]
    behind = max((titles.index(name) + 1 for name in REWARDS if name in titles), default=0)
    main[behind:behind] = by_task(left, axis, frame)
    for name, points in left.items():
        unit = SUMS if "normalized_margin" in numbers_of and "rewards/" in name else LOGGED
        more.append(curve_chart(name, axis, {"": points}, frame=frame, unit=unit))
    return StageCharts(axis=axis, frame=frame, main=tuple(main), more=tuple(more))


def kind_of(numbers_of: Mapping[str, Points]) -> str:
    """Which training a log is of, by what only that one logs; '' where nothing tells."""
    return next((kind for kind, name in TELLING.items() if name in numbers_of), "")


def stage_axis(last: float) -> Axis:
    """Steps of a stage from 0 to exactly its last, with round ticks."""
    ticks = step_axis([0, last], steps=4).ticks
    return Axis(0, max(last, 1), tuple(tick for tick in ticks if 0 <= tick <= last))


def series_in(rows: Log) -> dict[str, Points]:
    """Every number of a log over its steps."""
    found: dict[str, Points] = {}
    for row in rows:
        if has_step(row):
            for name, value in row.items():
                if numbers.is_number(value) and not NOT_DRAWN.fullmatch(name):
                    found.setdefault(name, []).append((row["step"], value))
    return found


def has_step(row: Mapping[str, Any]) -> bool:
    """Whether a row says which update it is of."""
    return numbers.is_number(row.get("step"))


def taken(curve: Curve, left: Mapping[str, Points]) -> Iterator[tuple[str, str]]:
    """The lines of a curve that a log has: what each is called, and its name in the log."""
    for called, keys in curve.lines.items():
        found = next((key for key in keys if key in left), None)
        if found:
            yield called, found
        for key in keys:
            if key.startswith("eval_"):
                of_sets = re.compile(rf"eval_(.+)_{re.escape(key.removeprefix('eval_'))}")
                for name in left:
                    if name not in KNOWN and (match := of_sets.fullmatch(name)):
                        yield f"{called}: {match[1]}", name


def drawn(
    curve: Curve, lines: Mapping[str, Points], axis: Axis, frame: Frame
) -> LineChart | FewPoints:
    """A chart of the table; what is alone in it and what the title means needs no name."""
    if list(lines) == [next(iter(curve.lines))]:
        lines = {"": next(iter(lines.values()))}
    return curve_chart(
        curve.title, axis, lines, frame=frame, unit=curve.unit, percent=curve.percent
    )


def by_task(left: dict[str, Points], axis: Axis, frame: Frame) -> Iterator[LineChart | FewPoints]:
    """What the verifiers of each task say, as many as one chart can tell apart in one."""
    names = [name for name in left if BY_TASK.fullmatch(name) and name not in KNOWN]
    for at in range(0, len(names), SERIES):
        lines = {name.removeprefix("verifier/"): left.pop(name) for name in names[at : at + SERIES]}
        title = "Verified by task" if len(names) > 1 else f"Verified: {next(iter(lines))}"
        if len(names) == 1:
            lines = {"": next(iter(lines.values()))}
        yield curve_chart(title, axis, lines, frame=frame, unit="mean of the responses")
