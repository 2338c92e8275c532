"""MMLU by log-likelihood: 57 subjects, 5-shot from `dev` (OLMES `mmlu:mc::tulu`).

A member of Tülu 3's suite, and not the number in the paper's tables, which is `mmlu`. The letter whose
summed log-probability is the largest is the answer.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes import (
    DataFile,
    Doc,
    Formulation,
    Generation,
    HubSplit,
    Metric,
    OlmesError,
    Request,
    Response,
    Source,
    Task,
    Verdict,
    content_hash,
    prompts,
)

LETTERS = "ABCD"
FACTS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("mmlu.toml").read_text("utf-8"))
FIELDS = ("subject", "question", "choices", "answer")
PASSAGE = "This question refers to the following information."
"""What an item begins with that shares a text with others; its question is its last line."""


def from_hub(row: Doc) -> Doc:
    """A row of the hub as the file has it, with a letter for the answer's number."""
    return {
        **{name: row[name] for name in ("subject", "question", "choices")},
        "answer": LETTERS[row["answer"]],
    }


def split(name: str, *, exemplars: Source | None = None) -> Source:
    """One split of the benchmark, all subjects of it."""
    return Source(
        files=(
            DataFile(
                path=f"mmlu/{name}.jsonl.gz",
                github="",  # 57 files, joined
                sha256=FACTS[name]["sha256"],
                rows=FACTS[name]["rows"],
            ),
        ),
        hub=tuple(
            HubSplit(repository="cais/mmlu", config=subject, split=name)
            for subject in FACTS["subjects"]
        ),
        from_hub=from_hub,
        fields=FIELDS,
        question=("question",),
        answer=("choices",),
        content_hash=FACTS[name]["content_hash"],
        licence="MIT",
        exemplars=exemplars,
    )


@dataclass(frozen=True, kw_only=True)
class MMLUChoiceFormulation(Formulation):
    """With the template of a choice."""

    option: str
    """One a line, after the question."""


class MMLUChoice(Task):
    """The likeliest of the four letters against the key."""

    name = "mmlu_mc"
    title = "MMLU (log-likelihood)"
    demo_data = "mmlu"
    source = split("test", exemplars=split("dev"))
    metrics = (
        Metric(
            name="acc",
            help="the letter with the largest log-probability is the key's, the first of equals "
            "(lm-eval `acc`, OLMES `acc_raw`)",
        ),
    )
    primary = "acc"
    fixed = ("version", "exemplars", "prefill", "multiturn", "extract")
    formulation: MMLUChoiceFormulation = MMLUChoiceFormulation(
        version=1,
        shots=5,
        exemplars=f"MMLU dev, of the question's subject, in order, {FACTS['dev']['content_hash'][:16]}",
        description="The following are multiple choice questions (with answers) about {subject}.\n\n",
        question="Question: {question}\n{choices}Answer:",
        option=" {letter}. {choice}\n",
        answer=" {letter}",
        aggregate="macro",
        generation=Generation(max_tokens=1),
    )

    def request(self, doc: Doc) -> Request:
        """Five questions of the subject with their letters as turns, then the question.

        Raises:
            OlmesError: the data of the task have not been read, and its exemplars with them.
        """
        form = self.formulation
        shots = [
            (self.question(shot), form.answer.format(letter=shot["answer"]))
            for shot in self.shots_of(str(doc["subject"]))
        ]
        messages = prompts.chat(
            self.question(doc),
            exemplars=shots,
            description=form.description.format(subject=doc["subject"].replace("_", " ")),
            final=form.final,
        )
        return Request(
            messages=messages, continuations=self.continuations(doc), generation=form.generation
        )

    def question(self, doc: Doc) -> str:
        """A question, its choices, and the cue behind which the letter stands."""
        form = self.formulation
        choices = "".join(
            form.option.format(letter=letter, choice=choice)
            for letter, choice in zip(LETTERS, doc["choices"], strict=True)
        )
        return form.question.format(question=doc["question"], choices=choices)

    def shots_of(self, subject: str) -> Sequence[Doc]:
        """The exemplars of a subject."""
        if not self.exemplar_rows:
            raise OlmesError(
                f"{self.name}: its exemplars are the rows of mmlu/dev.jsonl.gz, which are read with "
                "its items (`olmes.data.resolve.resolve`); read these first."
            )
        return self.take_shots([row for row in self.exemplar_rows if row["subject"] == subject])

    def continuations(self, doc: Doc) -> tuple[str, ...]:
        """The letters, without the blank that the reference strips where a chat's turn begins."""
        answer = self.formulation.answer
        return tuple(
            answer.format(letter=letter).lstrip(" ")
            for letter, _ in zip(LETTERS, doc["choices"], strict=True)
        )

    def gold(self, doc: Doc) -> str:
        """The letter of the key."""
        return str(doc["answer"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """The likeliest letter against the key."""
        best = max(range(len(LETTERS)), key=lambda place: response.logprobs[place])
        return Verdict(
            values={"acc": float(LETTERS[best] == self.gold(doc))}, extracted=LETTERS[best]
        )

    def subtask(self, doc: Doc) -> str:
        """The subject."""
        return str(doc["subject"])

    def cluster(self, doc: Doc) -> str:
        """The text that a question refers to: questions on one text are right or wrong together."""
        passage, _, _ = str(doc["question"]).rpartition("\n")
        return content_hash(passage)[:16] if passage.startswith(PASSAGE) else ""

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """Nearly all probability on the key; on the next letter when `corrupt`."""
        right = (LETTERS.index(self.gold(doc)) + corrupt) % len(LETTERS)
        return Response(logprobs=tuple(-0.1 if at == right else -9.0 for at in range(len(LETTERS))))


TASK = MMLUChoice()
