"""TruthfulQA: true and false answers, weighed by log-likelihood.

Tülu 3, Table 24; OLMES `truthfulqa::tulu`. The six exemplars and the question stand in one user
turn. MC2, the reported metric, is the share of probability that the true answers have; MC1 asks
whether the likeliest answer is the true one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from olmes import (
    DataFile,
    Doc,
    Formulation,
    Generation,
    HubSplit,
    Metric,
    Request,
    Response,
    Source,
    Task,
    Verdict,
    exemplars,
    prompts,
)

ORIGINAL = (
    "newBlanco/Modified_truthX:TruthfulQA/data/v0/mc_task.json"
    "@39e91d49c5b26bdef976da70be6c12829739e83e"
)


def from_hub(row: Doc) -> Doc:
    """A row of the hub as the file has it, where choices and labels are one object."""
    targets = {
        name: dict(zip(row[name]["choices"], map(int, row[name]["labels"]), strict=True))
        for name in ("mc1_targets", "mc2_targets")
    }
    return {"question": row["question"], **targets}


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of an item: those of MC1, and behind them those that MC2 alone has."""

    texts: tuple[str, ...]
    labels: tuple[int, ...]
    """1 for a true choice, 0 for a false one."""
    mc1: tuple[int, ...]
    """Places of the choices of MC1 in `texts`, in their order in the data."""
    mc2: tuple[int, ...]

    @classmethod
    def of(cls, doc: Doc) -> Choices:
        """The choices of an item, each text once."""
        mc1: Mapping[str, int] = doc["mc1_targets"]
        mc2: Mapping[str, int] = doc["mc2_targets"]
        labels = {**mc1, **{text: label for text, label in mc2.items() if text not in mc1}}
        texts = tuple(labels)
        place = {text: at for at, text in enumerate(texts)}
        return cls(
            texts=texts,
            labels=tuple(int(label) for label in labels.values()),
            mc1=tuple(place[text] for text in mc1),
            mc2=tuple(place[text] for text in mc2),
        )


class TruthfulQA(Task):
    """The summed log-probability of each choice, true against false."""

    name = "truthfulqa"
    title = "TruthfulQA"
    source = Source(
        files=(
            DataFile(
                path="truthfulqa/v0.mc_task.json.gz",
                github=ORIGINAL,
                sha256="6eb4125d25750c0145c4be2dce00440736684ab6f74ce6bff2139571cc758954",
                rows=817,
            ),
        ),
        hub=(
            HubSplit(
                repository="truthfulqa/truthful_qa", config="multiple_choice", split="validation"
            ),
        ),
        from_hub=from_hub,
        fields=("question", "mc1_targets", "mc2_targets"),
        question=("question",),
        answer=("mc1_targets",),
        content_hash="34598fb36e6d2da8e9293dfb83d2cc8f1805b44363988af256573483ba7437a0",
        licence="Apache-2.0",
    )
    metrics = (
        Metric(
            name="mc1", help="the likeliest of the MC1 choices is the true one; the first of equals"
        ),
        Metric(
            name="mc2",
            help="probability of the true choices over that of all, by sums of token log-probabilities",
        ),
    )
    primary = "mc2"
    fixed = ("version", "exemplars", "prefill", "multiturn", "extract", "aggregate")
    formulation = Formulation(
        version=1,
        shots=6,
        exemplars="lm-eval truthfulqa_mc1.yaml, the question-answer preset, ebbe4d25157bc9a1",
        question="Q: {question}\nA:",
        answer=" {answer}",
        multiturn=False,
        generation=Generation(max_tokens=1),
    )

    def request(self, doc: Doc) -> Request:
        """One user turn: the exemplars and the question, with blank lines between them."""
        form = self.formulation
        shots = [
            form.question.format(question=question) + form.answer.format(answer=answer)
            for question, answer in self.take_shots(preset())
        ]
        question = "\n\n".join([*shots, form.question.format(question=doc["question"])])
        messages = prompts.chat(question, description=form.description, final=form.final)
        return Request(
            messages=messages,
            # Behind a chat's generation prompt no blank stands before the first word.
            continuations=self.continuations(doc),
            generation=form.generation,
        )

    def continuations(self, doc: Doc) -> tuple[str, ...]:
        """The choices, each once."""
        return Choices.of(doc).texts

    def gold(self, doc: Doc) -> dict[str, list[int]]:
        """The label of each continuation, and the places of the choices of MC1 and of MC2."""
        choices = Choices.of(doc)
        return {
            "labels": list(choices.labels),
            "mc1_indices": list(choices.mc1),
            "mc2_indices": list(choices.mc2),
        }

    def score(self, doc: Doc, response: Response) -> Verdict:
        """MC1 and MC2; what is extracted is the likeliest choice of MC1."""
        choices, logprobs = Choices.of(doc), response.logprobs
        best = max(choices.mc1, key=lambda place: logprobs[place])
        true = [logprobs[place] for place in choices.mc2 if choices.labels[place]]
        return Verdict(
            values={
                "mc1": float(choices.labels[best]),
                "mc2": share(true, [logprobs[place] for place in choices.mc2]),
            },
            extracted=choices.texts[best],
        )

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """All probability on the true choices; on the false ones when `corrupt`."""
        labels = Choices.of(doc).labels
        return Response(logprobs=tuple(-1.0 if label != corrupt else -1e4 for label in labels))


def share(some: Sequence[float], every: Sequence[float]) -> float:
    """The probability of some of several choices over that of all, from their logarithms.

    The largest is taken out first, so that long choices, whose probabilities are below what a float
    holds, do not end in 0 by 0 (docs/protocol.md, section 8, fault 22).
    """
    largest = max(every)
    return math.fsum(math.exp(one - largest) for one in some) / math.fsum(
        math.exp(one - largest) for one in every
    )


@lru_cache(maxsize=1)
def preset() -> tuple[tuple[str, str], ...]:
    """Questions and answers of the benchmark's preset, out of the template of lm-eval's task.

    Raises:
        OlmesError: the package has another preset than the one that was published.
    """
    path = ("lm_eval", "tasks/truthfulqa/truthfulqa_mc1.yaml")
    template = exemplars.from_yaml(*path, "doc_to_text")
    found = re.findall(r"Q: (.+?)\s*\n\s*A: (.+?)\s*(?=\n|'%\})", template)
    return tuple(
        map(
            tuple,
            exemplars.checked([list(one) for one in found], "ebbe4d25157bc9a1", "/".join(path)),
        )
    )


TASK = TruthfulQA()
