"""AGIEval English: eight entrance and licensing exams, 0-shot chain of thought.

Tülu 3, section 7.3 and Figure 44; OLMES `agi_eval_english:0shot_cot::tulu3`. One user turn; the score
is the unweighted mean over the eight sub-tasks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from olmes import (
    DataFile,
    Doc,
    Formulation,
    Generation,
    Metric,
    Request,
    Response,
    Source,
    Task,
    Verdict,
    content_hash,
    prompts,
)
from olmes.scoring.choices.letter import last_match, stated_letter

LETTERS = "ABCDE"
# The protocol's second alternative would take the first letter off "Elephants"; in the official
# files it meets labels only ("A No dangshen").
PRINTED_LABEL = re.compile(r"^\s*\([A-E]\)\s*|^\s*[A-E][.?]?\s*")
BRACKETED_LABEL = re.compile(r"\s*\(([A-E])\)")
LABEL_TO_WORD = re.compile(r"(\([A-G]\))(\w)")
NEWLINES = re.compile(r"\n{2,}")

ORIGINAL = "ruixiangcui/AGIEval:data/v1/{}.jsonl@5c77d073fda993f1652eaae3cf5d04cc5fd21d40"
# Rows and SHA-256 of every sub-task's file.
FILES = {
    "lsat-ar": (230, "3b3e3fe09a07c695326adb82f38da0d67d5bbaadab41551f198c3102f1ea9dc8"),
    "lsat-lr": (510, "c6acb4d843db7b515da4d853e52bb8e6e5f776910f2e35a1805634db24bf94ea"),
    "lsat-rc": (269, "0eed491b3099d66b8110d4fabb98ce43285a6ac61ea5643285eec11b8abce202"),
    "logiqa-en": (651, "63d0e8efaca1944e7eac5037903650f92ca9c036155a66b4e95bf2aa06da1702"),
    "sat-math": (220, "9cde4c0522b6196852a5562db6e72bf8817b4802822db0fc10013d1becdab3c3"),
    "sat-en": (206, "33fe87b32ff16ae7ba52b27bb398190b082253b3617a3eb9737005262ba12dd4"),
    "aqua-rat": (254, "cff42e946e6082dacb27285dae19cb4be98408ab760fe43c6c462e543be50572"),
    "gaokao-english": (306, "2de1b1e5d9718d908ffb46665e949bff83bef956ad8b7de16ea412e058162b01"),
}


@dataclass(frozen=True, kw_only=True)
class AGIEvalFormulation(Formulation):
    """With the templates of what only some items have."""

    passage: str
    """Before the question, where the item has a passage."""
    option: str
    """One a line, after the question."""


class AGIEval(Task):
    """The letter of the closing sentence, or of the protocol's fallbacks, against the label."""

    name = "agieval"
    title = "AGIEval English"
    source = Source(
        files=tuple(
            DataFile(
                path=f"agieval/v1/{name}.jsonl.gz",
                github=ORIGINAL.format(name),
                sha256=digest,
                rows=rows,
                subtask=name,
            )
            for name, (rows, digest) in FILES.items()
        ),
        fields=("passage", "question", "options", "label"),
        question=("passage", "question"),
        answer=("options", "label"),
        content_hash="eaf2e6a91134bc3201a01a9cf4de7479f2c4e64a3c2c3fda441cb9472ae72591",
        licence="MIT (SAT, LSAT, Gaokao), Apache-2.0 (AQuA-RAT), CC-BY-NC-SA-4.0 (LogiQA)",
    )
    metrics = (
        Metric(
            name="exact_match",
            help="the letter of the closing sentence, else the last bracketed, else the last "
            "capital A to E anywhere",
        ),
        Metric(
            name="exact_match_lenient",
            help="the one option the response evidently answers with, however it is written",
            honest=True,
        ),
    )
    primary = "exact_match"
    fixed = ("version", "exemplars", "answer", "multiturn")
    patterns = ("the closing sentence", "any statement", "a letter in brackets", "a letter")
    formulation: AGIEvalFormulation = AGIEvalFormulation(
        version=1,
        description="Answer the following multiple-choice question by giving the correct answer "
        "letter in parentheses. Provide CONCISE reasoning for the answer, and make sure to finish "
        'the response with "Therefore, the answer is (ANSWER_LETTER)" where (ANSWER_LETTER) is one '
        "of (A), (B), (C), (D), (E), etc.\n\n",
        passage="Passage: {passage}\n",
        question="Question: {question}",
        option="\n ({letter}) {text}",
        final="\n\nAnswer the above question and REMEMBER to finish your response with the exact "
        'phrase "Therefore, the answer is (ANSWER_LETTER)" where (ANSWER_LETTER) is one of (A), '
        "(B), (C), (D), (E), etc.",
        extract=(
            r"Therefore, the answer is \(([A-F])\)",
            r"(?<=the answer is )(.*?)(?=\.)",
            r"\(([A-E])\)",
            r"[A-E]",
        ),
        aggregate="macro",
        generation=Generation(max_tokens=2048),
    )

    def request(self, doc: Doc) -> Request:
        """One user turn: what to do, passage, question and options, and what to do again."""
        form = self.formulation
        messages = prompts.chat(
            self.question(doc),
            exemplars=self.take_shots(()),
            description=form.description,
            final=form.final,
            prefill=form.prefill,
        )
        return Request(messages=messages, prefill=form.prefill, generation=form.generation)

    def question(self, doc: Doc) -> str:
        """Passage, question and options, tidied as the reference does."""
        form = self.formulation
        text = form.passage.format(passage=doc["passage"]) if doc["passage"] else ""
        text += form.question.format(question=doc["question"])
        for letter, option in zip(LETTERS, option_texts(doc), strict=False):
            text += form.option.format(letter=letter, text=option)
        return NEWLINES.sub("\n", LABEL_TO_WORD.sub(r"\1 \2", text))

    def gold(self, doc: Doc) -> str:
        """The letter of the label."""
        return str(doc["label"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """The protocol's letter and the evident one, each against the label.

        A response is unparsed when it evidently answers with no one option, even where the
        protocol's last resort takes a capital letter for an answer.
        """
        found = protocol_letter(response.text, self.formulation.extract)
        complete = response.finish != "length"
        stated = stated_letter(response.text, option_texts(doc), complete=complete)
        return Verdict(
            values={
                "exact_match": float(found == self.gold(doc)),
                "exact_match_lenient": float(stated == self.gold(doc)),
            },
            extracted=found,
            unparsed=stated is None,
            misformatted=last_match(self.formulation.extract[0], response.text) is None,
            note="; ".join(notes(doc, found, stated)),
        )

    def cluster(self, doc: Doc) -> str:
        """The passage: questions on one passage are right or wrong together."""
        return content_hash(doc["passage"])[:16] if doc["passage"] else ""

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The closing sentence with the label; with the next letter when `corrupt`."""
        letters = LETTERS[: len(doc["options"])]
        letter = letters[(letters.index(self.gold(doc)) + corrupt) % len(letters)]
        return Response(text=f"Therefore, the answer is ({letter}).")


def option_texts(doc: Doc) -> list[str]:
    """The options without the labels printed before them; the prompt letters them anew, in order."""
    return [PRINTED_LABEL.sub("", option) for option in doc["options"]]


def protocol_letter(text: str, patterns: tuple[str, ...]) -> str | None:
    """The reference's letter (docs/protocol.md, section 4.3): the last match of each step in turn."""
    closing, statement, bracketed, anywhere = patterns
    # A statement ends with a full stop on its line. Without what follows a line's last one the
    # pattern finds the same, in linear instead of quadratic time.
    stopped = "\n".join(line[: line.rfind(".") + 1] for line in text.split("\n"))
    return (
        last_match(closing, text)
        or last_match(bracketed, last_match(statement, stopped) or "")
        or last_match(bracketed, text)
        or last_match(anywhere, text)
    )


def notes(doc: Doc, found: str | None, stated: str | None) -> list[str]:
    """What the values alone do not say."""
    said = []
    if found != stated:
        said.append(f"states {stated or 'no one option'}, the protocol reads {found or 'nothing'}")
    printed = [label and label[1] for label in map(BRACKETED_LABEL.match, doc["options"])]
    shown = LETTERS[printed.index(doc["label"])] if doc["label"] in printed else doc["label"]
    if shown != doc["label"]:
        said.append(f"the key ({doc['label']}) means the option shown as ({shown})")
    return said


TASK = AGIEval()
