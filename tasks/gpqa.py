"""GPQA main: graduate-level questions of biology, physics and chemistry, 0-shot chain of thought.

Tülu 3, section 7.3 and Figure 44; OLMES `gpqa:0shot_cot::tulu3`. One user turn; the score is the mean
over all items. The data are gated: whoever takes them promises not to publish items in plain text,
which is why the source says `gated` and the demo items are our own.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

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
from olmes.scoring.choices.letter import last_match, stated_letter

LETTERS = "ABCD"
WRONG = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
RIGHT = "Correct Answer"
BRACKETED = re.compile(r"\[.*?\]")


@dataclass(frozen=True, kw_only=True)
class GPQAFormulation(Formulation):
    """With the template of an option and the seed of their order."""

    option: str
    """One a line, after the question."""
    seed: int
    """Plus the item's row: what the order of its options is drawn with."""


class GPQA(Task):
    """The letter of the closing sentence, or of the protocol's fallbacks, against the key."""

    name = "gpqa"
    title = "GPQA"
    source = Source(
        files=(DataFile(path="gpqa/gpqa_main.csv", github="", sha256="", rows=448),),
        fields=("index", "Question", RIGHT, *WRONG),
        question=("Question",),
        answer=(RIGHT,),
        row_field="index",
        content_hash="",
        hub=(HubSplit(repository="Idavidrein/gpqa", config="gpqa_main", split="train"),),
        gated=True,
        licence="CC-BY-4.0, gated",
    )
    metrics = (
        Metric(
            name="exact_match",
            help="the letter of the closing sentence, else the last bracketed, else the last "
            "capital A to D that stands alone",
        ),
        Metric(
            name="exact_match_lenient",
            help="the one option the response evidently answers with, however it is written",
            honest=True,
        ),
    )
    primary = "exact_match"
    fixed = ("version", "exemplars", "answer", "multiturn", "aggregate")
    patterns = (
        "the closing sentence",
        "a letter in brackets",
        "'The correct answer is:'",
        "a letter alone",
    )
    formulation: GPQAFormulation = GPQAFormulation(
        version=1,
        description="Answer the following multiple-choice question by giving the correct answer "
        "letter in parentheses. Provide CONCISE reasoning for the answer, and make sure to finish "
        'the response with "Therefore, the answer is (ANSWER_LETTER)" where (ANSWER_LETTER) is one '
        "of (A), (B), (C), (D).\n\n",
        question="Question: {question}\nChoices:\n",
        option=" ({letter}) {text}\n",
        final="\n\nAnswer the above question and REMEMBER to finish your response with the exact "
        'phrase "Therefore, the answer is (ANSWER_LETTER)" where (ANSWER_LETTER) is one of (A), '
        "(B), (C), (D).",
        seed=111,
        extract=(
            r"Therefore, the answer is \(([A-D])\)",
            r"\(([A-D])\)",
            r"(?<=The correct answer is: )([A-D])",
            r"\b([A-D])\b",
        ),
        generation=Generation(max_tokens=2048),
    )

    def request(self, doc: Doc) -> Request:
        """One user turn: what to do, the question and its options, and what to do again."""
        form = self.formulation
        question = form.question.format(question=doc["Question"])
        for letter, option in zip(LETTERS, self.options(doc), strict=True):
            question += form.option.format(letter=letter, text=option)
        messages = prompts.chat(
            question,
            exemplars=self.take_shots(()),
            description=form.description,
            final=form.final,
            prefill=form.prefill,
        )
        return Request(messages=messages, prefill=form.prefill, generation=form.generation)

    def options(self, doc: Doc) -> list[str]:
        """The four options in the order of their letters, which the item's row decides."""
        options = [tidied(doc[name]) for name in (*WRONG, RIGHT)]
        drawn = random.Random(self.formulation.seed + int(doc["index"]))  # noqa: S311 (the protocol's)
        drawn.shuffle(options)
        return options

    def gold(self, doc: Doc) -> str:
        """The letter of the first option that reads as the right one does."""
        return LETTERS[self.options(doc).index(tidied(doc[RIGHT]))]

    def score(self, doc: Doc, response: Response) -> Verdict:
        """The protocol's letter and the evident one, each against the key.

        A response is unparsed when it evidently answers with no one option, even where the
        protocol's last resort takes a capital letter for an answer. The note names letters alone:
        nothing of a gated item may stand in it.
        """
        gold = self.gold(doc)
        found = protocol_letter(response.text, self.formulation.extract)
        complete = response.finish != "length"
        stated = stated_letter(response.text, self.options(doc), complete=complete)
        note = ""
        if found != stated:
            note = f"states {stated or 'no one option'}, the protocol reads {found or 'nothing'}"
        return Verdict(
            values={
                "exact_match": float(found == gold),
                "exact_match_lenient": float(stated == gold),
            },
            extracted=found,
            unparsed=stated is None,
            misformatted=last_match(self.formulation.extract[0], response.text) is None,
            note=note,
        )

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The closing sentence with the key; with the next letter when `corrupt`."""
        letter = LETTERS[(LETTERS.index(self.gold(doc)) + corrupt) % len(LETTERS)]
        return Response(text=f"Therefore, the answer is ({letter}).")


def tidied(text: str | None) -> str:
    """An option as the reference shows it: without brackets, which may hold a source's title."""
    if text is None:
        return " "
    text = text.strip().replace(" [title]", ". ")
    return BRACKETED.sub("", text).replace("  ", " ")


def protocol_letter(text: str, patterns: tuple[str, ...]) -> str | None:
    """The reference's letter (docs/protocol.md, section 4.2): the last match of each step in turn."""
    for pattern in patterns:
        if found := last_match(pattern, text):
            return found
    return None


TASK = GPQA()
