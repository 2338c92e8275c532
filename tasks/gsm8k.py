"""GSM8K: grade-school word problems, 8-shot chain of thought (Tülu 3, Table 24; OLMES `gsm8k::tulu`).

A multi-turn chat of eight worked examples; the model's turn is prefilled with "Answer:".
"""

from __future__ import annotations

import re
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from typing import Any

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
from olmes.scoring.answers.number import number_of, stated_number
from olmes.scoring.numbers import last_number, without_decoration

# lm-eval's exemplars close with "The answer is N."; the protocol's with "So the answer is N."
CLOSING = re.compile(r"\bThe answer is (?=\S+\.$)")


LONGEST_NUMBER = 100
"""Longer ones are compared as texts."""


class GSM8K(Task):
    """Last number of the response against the number after `####`."""

    name = "gsm8k"
    title = "GSM8K"
    source = Source(
        files=(
            DataFile(
                path="gsm8k/test.jsonl.gz",
                github="openai/grade-school-math:grade_school_math/data/test.jsonl"
                "@3101c7d5072418e28b9008a6636bde82a006892c",
                sha256="3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
                rows=1319,
            ),
        ),
        hub=(HubSplit(repository="openai/gsm8k", config="main", split="test"),),
        fields=("question", "answer"),
        question=("question",),
        answer=("answer",),
        content_hash="4be730c5a6388c136e800f8f271b80b939e815c6514543a7c0ec91ef3fef93b2",
        licence="MIT",
    )
    metrics = (
        Metric(name="exact_match", help="the last number is the gold one, as a string"),
        Metric(
            name="exact_match_numeric",
            help="the number given as the answer equals the gold one: 18.0 is 18, a sign counts",
            honest=True,
        ),
    )
    primary = "exact_match"
    fixed = ("version", "exemplars", "description", "final", "multiturn", "extract")
    formulation = Formulation(
        version=1,
        shots=8,
        exemplars="lm-eval gsm8k-cot.yaml, endings as OLMES STD:GSM8k",
        question="Question: {question}\nAnswer:",
        answer="{target}",
        prefill="Answer:",
        extract=(r"[-+]?\d*\.\d+|\d+",),
        generation=Generation(max_tokens=512, stop=("Question:", "</s>", "<|im_end|>")),
    )

    def request(self, doc: Doc) -> Request:
        """Eight worked examples as turns, then the question."""
        form = self.formulation
        shots = [
            (form.question.format(**shot), form.answer.format(**shot))
            for shot in self.take_shots(worked_examples())
        ]
        question = form.question.format(question=doc["question"])
        return Request(
            messages=prompts.chat(question, exemplars=shots, prefill=form.prefill),
            prefill=form.prefill,
            generation=form.generation,
        )

    def gold(self, doc: Doc) -> str:
        """The number after `####`, read as a response's is."""
        return last_number(stated_answer(doc)) or stated_answer(doc)

    def score(self, doc: Doc, response: Response) -> Verdict:
        """String equality of the last number, and beside it equality of the stated one."""
        found = last_number(response.text)
        predicted = response.text if found is None else found
        stated = stated_number(response.text, complete=response.finish != "length")
        gold = number_of(stated_answer(doc))
        return Verdict(
            values={
                "exact_match": float(
                    without_decoration(predicted) == without_decoration(self.gold(doc))
                ),
                "exact_match_numeric": float(stated is not None and stated == gold),
            },
            extracted=found,
            unparsed=found is None,
        )

    def vote(self, extracted: Any) -> str | None:
        """The number itself: 18, 18. and 18.00 are one answer."""
        if isinstance(extracted, str) and len(extracted) <= LONGEST_NUMBER:
            with suppress(ValueError, ZeroDivisionError):
                return str(Fraction(without_decoration(extracted)))
        return super().vote(extracted)

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The gold in the exemplars' closing words; one more than the gold when `corrupt`."""
        gold = stated_answer(doc)
        wrong = int(gold.replace(",", "")) + 1
        return Response(text=f"So the answer is {wrong if corrupt else gold}.")


def stated_answer(doc: Doc) -> str:
    """What stands after `####`, sign and commas included."""
    return str(doc["answer"]).split("####")[-1].strip()


@lru_cache(maxsize=1)
def worked_examples() -> list[dict[str, Any]]:
    """The eight exemplars of Wei et al. (2022), ending as the protocol has them."""
    path = ("lm_eval", "tasks/gsm8k/gsm8k-cot.yaml")
    shots = exemplars.from_yaml(*path, "fewshot_config", "samples")
    for shot in shots:
        shot["target"] = CLOSING.sub("So the answer is ", shot["target"])
    return exemplars.checked(shots, "bbdb6536d9ca9ec3", "/".join(path))


TASK = GSM8K()
