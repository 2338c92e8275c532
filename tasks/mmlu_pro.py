"""MMLU-Pro: fourteen subjects, up to ten options, 0-shot chain of thought.

Tülu 3, section 7.3 and Figure 44; OLMES `mmlu_pro:0shot_cot::tulu3`. One user turn; the score is the
unweighted mean over the fourteen categories.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    prompts,
)
from olmes.scoring.choices.letter import first_match, last_match, stated_letter

LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, kw_only=True)
class MMLUProFormulation(Formulation):
    """With the template of an option."""

    option: str
    """One a line, after the question."""


class MMLUPro(Task):
    """The letter of the closing sentence, or of the protocol's fallbacks, against the key."""

    name = "mmlu_pro"
    title = "MMLU-Pro"
    source = Source(
        files=(
            DataFile(
                path="mmlu_pro/test.jsonl.gz",
                github="",
                sha256="de3e252c059914c90d06ceebad992cf4721de926a3d32ce2d4e00c24a972dd79",
                rows=12_032,
            ),
        ),
        fields=("question", "options", "answer", "category"),
        question=("question",),
        answer=("options",),
        # Revisions of May 2024 have 12,187 rows; the hash holds the set to the later ones.
        content_hash="23f0c5c4467f433e4c1a33088c7f304d736d9a60bc41512f2310af98bf53e587",
        hub=(HubSplit(repository="TIGER-Lab/MMLU-Pro", split="test"),),
        licence="MIT",
    )
    metrics = (
        Metric(
            name="exact_match",
            help="the letter of the closing sentence, else the first after 'answer is', else one "
            "after 'Answer:', else the last capital A to J that stands alone",
        ),
        Metric(
            name="exact_match_lenient",
            help="the one option the response evidently answers with, however it is written",
            honest=True,
        ),
    )
    primary = "exact_match"
    fixed = ("version", "exemplars", "answer", "multiturn")
    patterns = ("the closing sentence", "'answer is'", "'Answer:'", "a letter alone")
    formulation: MMLUProFormulation = MMLUProFormulation(
        version=1,
        description="Answer the following multiple-choice question by giving the correct answer "
        "letter in parentheses. Provide CONCISE reasoning for the answer, and make sure to finish "
        'the response with "Therefore, the answer is (ANSWER_LETTER)" where (ANSWER_LETTER) is one '
        "of (A), (B), (C), (D), (E), etc.\n\n",
        question="Question: {question}\n",
        option=" ({letter}) {text}\n",
        final="\nAnswer the above question and REMEMBER to finish your response with the exact "
        'phrase "Therefore, the answer is (ANSWER_LETTER)" where (ANSWER_LETTER) is one of (A), '
        "(B), (C), (D), (E), etc.",
        extract=(
            r"Therefore, the answer is \(([A-J])\)",
            r"(?i)answer is:?\s*\(?([A-J])\)?",
            r"[aA]nswer:\s*([A-J])",
            r"\b([A-J])\b",
        ),
        aggregate="macro",
        generation=Generation(max_tokens=2048),
    )

    def request(self, doc: Doc) -> Request:
        """One user turn: what to do, the question and its options, and what to do again."""
        form = self.formulation
        question = form.question.format(question=doc["question"])
        for letter, option in zip(LETTERS, doc["options"], strict=False):
            question += form.option.format(letter=letter, text=option)
        messages = prompts.chat(
            question,
            exemplars=self.take_shots(()),
            description=form.description,
            final=form.final,
            prefill=form.prefill,
        )
        return Request(messages=messages, prefill=form.prefill, generation=form.generation)

    def subtask(self, doc: Doc) -> str:
        """The category."""
        return str(doc["category"])

    def gold(self, doc: Doc) -> str:
        """The letter of the key."""
        return str(doc["answer"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """The protocol's letter and the evident one, each against the key.

        A response is unparsed when it evidently answers with no one option, even where the
        protocol's fallbacks take an article or the first letter of a word for an answer.
        """
        gold = self.gold(doc)
        found = protocol_letter(response.text, self.formulation.extract)
        complete = response.finish != "length"
        stated = stated_letter(response.text, doc["options"], complete=complete)
        note = ""
        if (found or "").upper() != (stated or ""):
            note = f"states {stated or 'no one option'}, the protocol reads {found or 'nothing'}"
        return Verdict(
            values={
                "exact_match": float((found or "").lower() == gold.lower()),
                "exact_match_lenient": float(stated == gold),
            },
            extracted=found,
            unparsed=stated is None,
            misformatted=last_match(self.formulation.extract[0], response.text) is None,
            note=note,
        )

    def vote(self, extracted: Any) -> str | None:
        """The letter; the protocol's fallback may have found it in lower case."""
        return str(extracted).upper() if extracted else None

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The closing sentence with the key; with the next letter when `corrupt`."""
        letters = LETTERS[: len(doc["options"])]
        if corrupt and len(letters) == 1:  # as five items of the official file have
            return Response(text="none of them")
        letter = letters[(letters.index(self.gold(doc)) + corrupt) % len(letters)]
        return Response(text=f"Therefore, the answer is ({letter}).")


def protocol_letter(text: str, patterns: tuple[str, ...]) -> str | None:
    """The reference's letter (docs/protocol.md, section 4.1), from the first step that has one.

    The closing sentence counts where it stands last, the statement where it stands first.
    """
    closing, statement, labelled, alone = patterns
    return (
        last_match(closing, text)
        or first_match(statement, text)
        or last_on_first_line(labelled, text)
        or last_match(alone, text)
    )


def last_on_first_line(pattern: str, text: str) -> str | None:
    """Of the first line on which `pattern` begins to match, its last group there.

    What `.*` before the pattern finds, in linear instead of quadratic time.
    """
    found: re.Match[str] | None = None
    # Looked ahead for, because one match may begin within another ("Answer: Answer: B").
    for match in re.finditer(f"(?={pattern})", text):
        if found and "\n" in text[found.start() : match.start()]:
            break
        found = match
    return found[found.re.groups and 1] if found else None


TASK = MMLUPro()
