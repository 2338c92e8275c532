"""MMLU: 57 subjects, 0-shot chain of thought, summarized (Tülu 3, section 7.1 and Table 44).

OLMES `mmlu:cot::summarize`, the number in the paper's tables; its suite names the 5-shot
log-likelihood form instead, which is `mmlu_mc`. The score is the unweighted mean over subjects.
"""

from __future__ import annotations

import re
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
    Request,
    Response,
    Source,
    Task,
    Verdict,
    content_hash,
    prompts,
)
from olmes.scoring.choices.letter import first_match, last_match, stated_letter

LETTERS = "ABCD"
FACTS: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
PASSAGE = "This question refers to the following information."
"""What an item begins with that shares a text with others; its question is its last line."""


def from_hub(row: Doc) -> Doc:
    """A row of the hub as the file has it, with a letter for the answer's number."""
    return {
        **{name: row[name] for name in ("subject", "question", "choices")},
        "answer": LETTERS[row["answer"]],
    }


@dataclass(frozen=True, kw_only=True)
class MMLUFormulation(Formulation):
    """With the template of a choice."""

    option: str
    """One a line, after the question."""


class MMLU(Task):
    """The letter that the protocol's five expressions read, against the key."""

    name = "mmlu"
    title = "MMLU"
    source = Source(
        files=(
            DataFile(
                path="mmlu/test.jsonl.gz",
                github="",  # 57 files, joined
                sha256=FACTS["test"]["sha256"],
                rows=FACTS["test"]["rows"],
            ),
        ),
        hub=tuple(
            HubSplit(repository="cais/mmlu", config=subject, split="test")
            for subject in FACTS["subjects"]
        ),
        from_hub=from_hub,
        fields=("subject", "question", "choices", "answer"),
        question=("question",),
        answer=("choices",),
        content_hash=FACTS["test"]["content_hash"],
        licence="MIT",
    )
    metrics = (
        Metric(
            name="exact_match",
            help='the first letter after "the answer is", in any case, else of four fallbacks, down to '
            "any capital A to D",
        ),
        Metric(
            name="exact_match_lenient",
            help="the one option the response evidently answers with, however it is written",
            honest=True,
        ),
    )
    primary = "exact_match"
    fixed = ("version", "exemplars", "answer", "multiturn")
    patterns = (
        "'therefore, the answer is'",
        "'answer is'",
        "'is correct'",
        "a letter in brackets",
        "a letter alone",
    )
    formulation: MMLUFormulation = MMLUFormulation(
        version=1,
        description="The following are multiple choice questions about {subject}. Summarize your "
        "reasoning concisely, then conclude with 'Therefore, the answer is: X' where X is one of A, "
        "B, C, or D.\n\n",
        question="Question: {question}\n{choices}",
        option=" {letter}. {choice}\n",
        extract=(
            r"(?i)therefore,?\s*the\s*answer\s*is:?\s*\(?([A-D])\b",
            r"(?i)answer\s*is:?\s*\(?([A-D])\b",
            r"(?i)([A-D])\)?\s+is\s+correct",
            r"\(([A-D])\)",
            r"\b([A-D])\b",
        ),
        aggregate="macro",
        generation=Generation(max_tokens=512, stop=("Question:",)),
    )

    def request(self, doc: Doc) -> Request:
        """One user turn: what to do, the question and its choices."""
        form = self.formulation
        choices = "".join(
            form.option.format(letter=letter, choice=choice)
            for letter, choice in zip(LETTERS, doc["choices"], strict=True)
        )
        messages = prompts.chat(
            form.question.format(question=doc["question"], choices=choices),
            exemplars=self.take_shots(()),
            description=form.description.format(subject=doc["subject"].replace("_", " ")),
            final=form.final,
            prefill=form.prefill,
        )
        return Request(messages=messages, prefill=form.prefill, generation=form.generation)

    def gold(self, doc: Doc) -> str:
        """The letter of the key."""
        return str(doc["answer"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """The protocol's letter and the evident one, each against the key.

        A response is unparsed when it evidently answers with no one option, even where the
        protocol's fallbacks take an article for an answer.
        """
        found = protocol_letter(response.text, self.formulation.extract)
        complete = response.finish != "length"
        stated = stated_letter(response.text, doc["choices"], complete=complete)
        differ = f"states {stated or 'no one option'}, the protocol reads {found or 'nothing'}"
        return Verdict(
            values={
                "exact_match": float(found == self.gold(doc)),
                "exact_match_lenient": float(stated == self.gold(doc)),
            },
            extracted=found,
            unparsed=stated is None,
            misformatted=first_match(self.formulation.extract[0], response.text) is None,
            note=differ if found != stated else "",
        )

    def subtask(self, doc: Doc) -> str:
        """The subject."""
        return str(doc["subject"])

    def cluster(self, doc: Doc) -> str:
        """The text that a question refers to: questions on one text are right or wrong together."""
        passage, _, _ = str(doc["question"]).rpartition("\n")
        return content_hash(passage)[:16] if passage.startswith(PASSAGE) else ""

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The closing sentence with the key; with the next letter when `corrupt`."""
        letter = LETTERS[(LETTERS.index(self.gold(doc)) + corrupt) % len(LETTERS)]
        return Response(text=f"Therefore, the answer is: {letter}")


def protocol_letter(text: str, patterns: Sequence[str]) -> str | None:
    """The reference's letter (docs/protocol.md, section 3.1): the first match of each step in turn."""
    *steps, anywhere = patterns
    for step in steps:
        if found := first_match(step, text):
            return found.upper()
    # The reference has `.*` before the last one, which takes the last letter of the first line that
    # has any; a line that has none costs it the square of its length.
    first = re.search(anywhere, text)
    if first is None:
        return None
    begin = text.rfind("\n", 0, first.start()) + 1
    letter = last_match(anywhere, text[begin:].split("\n", 1)[0])
    return letter.upper() if letter else None


TASK = MMLU()
