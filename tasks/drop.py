"""DROP: reading with counting, sorting and arithmetic, 3-shot (Tülu 3, Table 24; OLMES `drop::llama3`).

The one development task that is asked without a chat: a plain text of three passages with a question
and its answer, then the item's. The exemplars are drawn from the training split, the same for all.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
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
)
from olmes.scoring.spans import drop
from olmes.scoring.spans.stated import stated_f1, without_next_question

SEED = 1234
SIMPLE = re.compile(r"Passage: (?P<passage>.*)\nQuestion: (?P<question>.*)\nAnswer:\s*", re.DOTALL)
"""The `context` of the form that simple-evals has the set in."""


def known_form(row: Doc) -> Doc:
    """A row as the authors' file has it, with its `validated_answers` as a list.

    The hub has them as lists by field. simple-evals has one text (`context`, `ref_text`), where the
    spans of an answer are joined, so that its answers have one span each.
    """
    if "ref_text" in row:
        asked = SIMPLE.fullmatch(row["context"])
        if asked is None:
            raise ValueError("`context` is not 'Passage: ... Question: ... Answer:'")
        answers = [spans_alone(text) for text in row["ref_text"].split("|")]
        return {**asked.groupdict(), "answer": answers[0], "validated_answers": answers[1:]}
    validated = row.get("validated_answers") or []
    if isinstance(validated, Mapping):
        parts = zip(*(validated[part] for part in ("number", "date", "spans")), strict=True)
        validated = [{"number": n, "date": date, "spans": spans} for n, date, spans in parts]
    return {**row, "validated_answers": validated}


def spans_alone(text: str) -> dict[str, Any]:
    """An answer of one span."""
    return {"number": "", "date": {}, "spans": [text]}


def spans_of(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """What an answer is compared as: its number, else its spans, else day, month and year."""
    if answer["number"] != "":
        return (str(answer["number"]),)
    if answer["spans"]:
        return tuple(answer["spans"])
    date = answer["date"]
    return (" ".join(date.get(part, "") for part in ("day", "month", "year")).strip(),)


FIELDS = ("passage", "question", "answer", "validated_answers")


class DROP(Task):
    """F1 of the response's words against the best of the answers."""

    name = "drop"
    title = "DROP"
    source = Source(
        files=(DataFile(path="drop/validation.jsonl.gz", github="", sha256="", rows=9536),),
        hub=(HubSplit(repository="EleutherAI/drop", split="validation"),),
        known_form=known_form,
        fields=FIELDS,
        question=("passage", "question"),
        answer=("answer",),
        content_hash="",  # this project has not seen the hub's copy
        licence="CC-BY-SA-4.0",
        other_files=(
            DataFile(
                path="drop/drop_v0_dev.jsonl.gz",
                github="ShengranHu/ADAS:dataset/drop_v0_dev.jsonl.gz"
                "@2702bee8fefda42255efc5be9f60e3bd3db96ae4",
                sha256="71182668b259f7f4861658c6587374394734e6b4140bc4202c7673df5f9d1911",
                rows=9536,
            ),
        ),
        exemplars=Source(
            files=(DataFile(path="drop/train.jsonl.gz", github="", sha256="", rows=77409),),
            hub=(HubSplit(repository="EleutherAI/drop", split="train"),),
            known_form=known_form,
            fields=FIELDS,
            content_hash="",
        ),
    )
    metrics = (
        Metric(name="f1", help="F1 of the response's words, as one span, against the best answer"),
        Metric(name="exact_match", help="the response is the whole of an answer of one span"),
        Metric(
            name="f1_stated",
            help="F1 of the spans that the response states, paired with the answer's; a number is the "
            "gold one or not",
            honest=True,
        ),
    )
    primary = "f1"
    scorers = ("score", "score_stated")
    fixed = ("version", "exemplars", "multiturn", "extract", "system")
    formulation = Formulation(
        version=1,
        shots=3,
        exemplars=f"drawn from the training split, random.Random({SEED}).sample",
        question="Passage: {passage}\nQuestion: {question}\nAnswer:",
        answer=" {answer}",
        generation=Generation(max_tokens=50, stop=("Passage:", "Question:", "\n\n")),
    )

    def prepare(self) -> None:
        """Import what pairs spans, and read one number."""
        stated_f1("a, b", ["a", "b"])
        stated_f1("The answer is 5.", ["5"])

    def request(self, doc: Doc) -> Request:
        """Three passages with a question and its answer, then the item's: plain text, no chat.

        Raises:
            OlmesError: the data of the task have not been read, or have no training split.
        """
        form = self.formulation
        shots = [
            self.question(shot) + form.answer.format(answer=first(shot)) for shot in self.shots()
        ]
        text = form.description + "\n\n".join([*shots, self.question(doc)])
        text += form.final + form.prefill
        return Request(prompt=text, generation=form.generation)

    def question(self, doc: Doc) -> str:
        """Passage, question, and the cue behind which the answer stands."""
        row = known_form(doc)
        return self.formulation.question.format(passage=row["passage"], question=row["question"])

    def shots(self) -> Sequence[Doc]:
        """As many rows of the training split as the formulation asks for, drawn anew each time."""
        rows, wanted = self.exemplar_rows, self.formulation.shots
        if wanted and not rows:
            raise OlmesError(
                f"{self.name}: its exemplars are drawn from DROP's training split, which is read with "
                "its items from the hub; give access to it, or a folder with drop/train.jsonl."
            )
        if not 0 <= wanted <= len(rows):
            return self.take_shots(rows)
        return random.Random(SEED).sample(rows, wanted)  # noqa: S311 (the protocol's draw)

    def gold(self, doc: Doc) -> list[list[str]]:
        """The answer and every validated one, each once, as lists of spans."""
        row = known_form(doc)
        answers = map(spans_of, (row["answer"], *row["validated_answers"]))
        return [list(spans) for spans in dict.fromkeys(answers)]

    def score(self, doc: Doc, response: Response) -> Verdict:
        """The benchmark's own scores, the largest over the answers; a blank answer counts as none."""
        f1, exact = self.protocol_values(doc, response.text)
        said = response.text.strip()
        return Verdict(
            values={"f1": f1, "exact_match": exact}, extracted=said or None, unparsed=not said
        )

    def protocol_values(self, doc: Doc, text: str) -> tuple[float, float]:
        """F1 and exact match."""
        golds = [gold for gold in self.gold(doc) if gold[0].strip()]
        f1 = max((drop.f1(text, gold) for gold in golds), default=0.0)
        return f1, float(any(drop.exact(text, gold) for gold in golds))

    def score_stated(self, doc: Doc, response: Response) -> Verdict:
        """The honest metric."""
        complete = response.finish != "length"
        scores = (
            stated_f1(response.text, gold, complete=complete)
            for gold in self.gold(doc)
            if gold[0].strip()
        )
        return Verdict(values={"f1_stated": max(scores, default=0.0)})

    def cluster(self, doc: Doc) -> str:
        """The passage: about sixteen questions are asked on each."""
        return content_hash(known_form(doc)["passage"])[:16]

    def vote(self, extracted: Any) -> str | None:
        """The response as the benchmark compares it: no case, articles and punctuation."""
        if not isinstance(extracted, str):
            return None
        return drop.normalized(without_next_question(extracted)) or None

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The first answer, its spans joined; when `corrupt` a word that no answer has."""
        return Response(text=" qqzx" if corrupt else " " + ", ".join(self.best(doc)))

    def best(self, doc: Doc) -> list[str]:
        """The answer that the oracle gives: the first that is not blank, else the first."""
        golds = self.gold(doc)
        return next((gold for gold in golds if gold[0].strip()), golds[0])

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """1; of an answer of several spans what the protocol's one span can reach, computed.

        A fault of the protocol's metrics: the response is always one span. A blank answer cannot be
        given at all.
        """
        if len(best := self.best(doc)) == 1 and best[0].strip():
            return super().perfect_values(doc)
        f1, exact = self.protocol_values(doc, self.perfect_response(doc).text)
        return {"f1": f1, "exact_match": exact, "f1_stated": float(bool(best[0].strip()))}


def first(shot: Doc) -> str:
    """The first answer of an exemplar, its spans joined by commas."""
    return ", ".join(spans_of(shot["answer"]))


TASK = DROP()
