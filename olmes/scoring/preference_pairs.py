"""A file of preferences as a task: does a reward model give the better answer the larger number?

Any file that `olmes train reward` reads will do, and one like RewardBench's: a row has `prompt`,
`chosen` and `rejected`, or two chats that differ in their last turn, and may have a `subset`, which is
its sub-task. Two equal rewards decide nothing and count as wrong.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from olmes.benchmark.formulation import Formulation
from olmes.benchmark.metrics import Metric
from olmes.benchmark.source import Source
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.rows.preferences import preference_row, undecided
from olmes.tools.hashing import content_hash
from olmes.types import Doc, Generation, Message, Request, Response, Verdict

ROLES = ("system", "user", "assistant")


def pair_of(row: Doc) -> Doc:
    """A row as the task reads it: `prompt` as turns, two texts, and a `subset` where it has one.

    Raises:
        ValueError: it is no preference, prefers nothing, or has turns that are no texts.
    """
    try:
        made = preference_row(row)
    except OlmesError as error:
        raise ValueError(str(error).rstrip(".")) from None
    if made["more"] or any(turn["role"] not in ROLES for turn in made["prompt"]):
        raise ValueError("it has tools, calls or thoughts, and pairs are compared by their texts")
    if why := undecided(made):
        raise ValueError(f"{why}, so that neither is to be preferred")
    subset = row.get("subset")
    return {
        "prompt": [dict(turn) for turn in made["prompt"]],
        "chosen": made["chosen"][-1]["content"],
        "rejected": made["rejected"][-1]["content"],
        **({"subset": str(subset)} if subset not in (None, "") else {}),
    }


class PreferencePairs(Task):
    """The chosen answer's reward beside the rejected one's, of a file of pairs."""

    name = "preference_pairs"
    title = "Preference pairs"
    source = Source(
        files=(),
        fields=("prompt", "chosen", "rejected"),
        optional=("subset",),
        content_hash="",
        known_form=pair_of,
        question=("prompt",),
        answer=("chosen", "rejected"),
    )
    metrics = (
        Metric(
            name="accuracy",
            help="the chosen answer's reward is above the rejected one's; equal rewards are wrong",
        ),
        Metric(
            name="margin",
            unit="number",
            help="reward of the chosen answer minus that of the rejected one, on the model's own scale",
        ),
        Metric(
            name="equal",
            higher_is_better=False,
            help="both answers have the same reward, which decides nothing",
        ),
        Metric(
            name="longer_in_errors",
            higher_is_better=False,
            help="of the pairs it gets wrong, those where it prefers the longer answer; about half if "
            "length does not matter",
        ),
    )
    primary = "accuracy"
    for_reward_models = True
    scoring_modules = ("olmes.rows.preferences",)
    fixed = (
        "version", "shots", "exemplars", "description", "question", "answer", "final", "prefill",
        "multiturn", "extract", "reasoning",
    )  # fmt: skip
    formulation = Formulation(generation=Generation(max_tokens=1))

    def request(self, doc: Doc) -> Request:
        """The prompt's turns, and both answers to be rewarded."""
        return Request(
            messages=tuple(
                Message(role=turn["role"], content=turn["content"]) for turn in doc["prompt"]
            ),
            answers=(doc["chosen"], doc["rejected"]),
            generation=self.formulation.generation,
        )

    def gold(self, doc: Doc) -> str:
        """The answer that was chosen."""
        return str(doc["chosen"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """Which of the two rewards is larger, and by how much."""
        chosen, rejected = response.rewards
        values: dict[str, Any] = {
            "accuracy": float(chosen > rejected),
            "margin": chosen - rejected,
            "equal": float(chosen == rejected),
        }
        longer = len(doc["rejected"]) - len(doc["chosen"])
        if chosen < rejected and longer:
            values["longer_in_errors"] = float(longer > 0)
        preferred = "chosen" if chosen > rejected else "rejected" if chosen < rejected else None
        return Verdict(values=values, extracted=preferred and doc[preferred])

    def subtask(self, doc: Doc) -> str:
        """The row's `subset`."""
        return str(doc.get("subset", ""))

    def item_texts(self, doc: Doc, *, answers: bool = False) -> list[str]:
        """What is said before the answer, a text a turn; with `answers` the two answers."""
        if answers:
            return [doc["chosen"], doc["rejected"]]
        return [turn["content"] for turn in doc["prompt"] if turn["role"] == "user"]

    def cluster(self, doc: Doc) -> str:
        """The prompt: pairs of answers to one prompt are right or wrong together."""
        return content_hash(doc["prompt"])[:16]

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:  # noqa: ARG002
        """The larger reward for the chosen answer; for the other one when `corrupt`."""
        return Response(rewards=(0.0, 1.0) if corrupt else (1.0, 0.0))

    def perfect_values(self, doc: Doc) -> dict[str, float]:  # noqa: ARG002
        """All but the share of errors, of which there are none."""
        return {"accuracy": 1.0, "equal": 0.0}

    def wrong_values(self, doc: Doc) -> dict[str, float | list[bool]]:  # noqa: ARG002
        """Of the primary metric alone."""
        return {"accuracy": 0.0}


TASK = PreferencePairs()


def of_file(path: Path) -> PreferencePairs:
    """The task of a file of pairs, named like the file.

    Raises:
        OlmesError: there is no such file.
    """
    if not path.is_file():
        raise OlmesError(f"{path} does not exist; check the path of the file of pairs.")
    task = PreferencePairs()
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    task.name = re.sub(r"\W+", "_", stem).strip("_") or PreferencePairs.name
    task.title = stem
    task.items_file = path
    return task
