"""PopQA: who wrote, directed, was born where; 15-shot, no reasoning (Tülu 3, Table 24; `popqa::tulu`).

A multi-turn chat of fixed exemplars, one a relation. The protocol looks for an alias of the answer
anywhere in the response; the honest metric looks for its words.
"""

from __future__ import annotations

import json
import re
import unicodedata
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
from olmes.scoring.answers.thought import spoken

EXEMPLARS = [
    {"question": question, "answer": answer}
    for question, answer in (
        ("What is Thomas Widdrington's occupation?", "politician"),
        ("In what city was Glover Morrill Allen born?", "Walpole"),
        ("What genre is The Arab?", "adventure film"),
        ("Who is the father of Qasim ibn Muhammad ibn Abi Bakr?", "Muhammad ibn Abi Bakr"),
        ("In what country is Cora?", "United States of America"),
        ("Who was the producer of Genre?", "Don Hertzfeldt"),
        ("Who was the director of Up in the Air?", "Howard Bretherton"),
        ("What is Lima the capital of?", "Peru"),
        ("Who was the screenwriter for Trivandrum Lodge?", "Anoop Menon"),
        ("Who was the composer of 1983?", "Gopi Sundar"),
        ("What color is chalk?", "white"),
        ("What is the religion of Spring Arbor University?", "Free Methodist Church"),
        ("What sport does Harry Clay play?", "association football"),
        ("Who is the author of B²FH paper?", "William Alfred Fowler"),
        ("Who is the mother of Terry Fox?", "Betty Fox"),
    )
]
"""Items of the test set, all of them."""
SHOWN = frozenset(exemplar["question"] for exemplar in EXEMPLARS)

SHORT = 3
"""Characters up to which an alias is a code or a common word: "in" for India, "US", "pol"."""
NEXT_QUESTION = re.compile(r"\n[ \t]{0,9}(?:Q|Question)\s?:")
LEAD = re.compile(r"(?:so,?\s)?(?:the\s)?answer(?:\sis|\s?:)\s*", re.IGNORECASE)
READ = 10_000
"""Characters of a response that the honest metric reads; the protocol has it stop after 15 tokens."""
WRONG = "—"


def known_form(row: Doc) -> Doc:
    """A row with its aliases as a list; the hub has them as JSON in `possible_answers`."""
    if "golden_answers" in row or "possible_answers" not in row:
        return row
    return {**row, "golden_answers": json.loads(row["possible_answers"])}


class PopQA(Task):
    """Whether the response names the answer by one of its aliases."""

    name = "popqa"
    title = "PopQA"
    source = Source(
        files=(DataFile(path="popqa/test.jsonl.gz", github="", sha256="", rows=14267),),
        other_files=(  # drawn by others
            DataFile(
                path="popqa/popqa_1000_full_fields.jsonl.gz",
                github="GaurisankarJ/reason_over_search:data_subsample/popqa/test.jsonl"
                "@45495b576c768f0d5996789e2db29eaa285a3c54",
                sha256="849ee23a02b395acb68dddbb7789ab86dd9e818765ed804696eab4760f042aea",
                rows=1000,
            ),
        ),
        hub=(HubSplit(repository="akariasai/PopQA", split="test"),),
        known_form=known_form,
        fields=("question", "golden_answers"),
        question=("question",),
        answer=("golden_answers",),
        content_hash="",  # the set is on the hub alone, and has not been seen by this project
        licence="MIT (the authors' repository)",
    )
    metrics = (
        Metric(
            name="exact_match",
            help="an alias of the answer is in the response, if within a word, as it is written, in "
            "lower case, or capitalised",
        ),
        Metric(
            name="exact_match_words",
            help="the words of an alias are in the response, whatever their case and accents; the "
            "exemplars' own questions are left out",
            honest=True,
        ),
    )
    primary = "exact_match"
    fixed = ("version", "exemplars", "multiturn", "extract")
    formulation = Formulation(
        version=1,
        shots=15,
        exemplars=f"in the task's file, {content_hash(EXEMPLARS)[:16]}",
        question="Q: {question} A:",
        answer="{answer}",
        generation=Generation(max_tokens=15, stop=("\n\n",)),
    )

    def request(self, doc: Doc) -> Request:
        """Fifteen answered questions as turns, then the question."""
        form = self.formulation
        shots = [
            (form.question.format(**shot), form.answer.format(**shot))
            for shot in self.take_shots(EXEMPLARS)
        ]
        messages = prompts.chat(
            form.question.format(question=doc["question"]),
            exemplars=shots,
            description=form.description,
            final=form.final,
            prefill=form.prefill,
        )
        return Request(messages=messages, prefill=form.prefill, generation=form.generation)

    def gold(self, doc: Doc) -> list[str]:
        """The aliases of the answer."""
        return list(known_form(doc)["golden_answers"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """The protocol's substring, and beside it whole words."""
        aliases, text = self.gold(doc), response.text
        verdict = Verdict(
            values={"exact_match": float(any(within(alias, text) for alias in aliases))},
            extracted=text.strip() or None,
            unparsed=not text.strip(),
        )
        if doc["question"] not in SHOWN:
            said = answered(text)
            verdict.values["exact_match_words"] = float(any(named(one, said) for one in aliases))
        return verdict

    def cluster(self, doc: Doc) -> str:
        """The question: where two items ask the same, their prompts and so the responses are one."""
        return content_hash(doc["question"])[:16]

    def vote(self, extracted: Any) -> str | None:
        """The words of the answer, whatever their case, accents and punctuation."""
        return (words(answered(extracted)) or None) if isinstance(extracted, str) else None

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The first alias; a dash, which no alias is part of, when `corrupt`."""
        return Response(text=WRONG if corrupt else self.gold(doc)[0])

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """1, of the honest metric only where the item has a value: its answer is not in the prompt."""
        values = super().perfect_values(doc)
        if doc["question"] in SHOWN:
            del values["exact_match_words"]
        return values


def within(alias: str, text: str) -> bool:
    """The protocol's rule: the alias as a substring, as it is, in lower case, or capitalised."""
    return alias in text or alias.lower() in text or alias.capitalize() in text


def answered(text: str) -> str:
    """The response without "the answer is", thought, and questions that it goes on to ask."""
    said = NEXT_QUESTION.split(spoken(text) or "", maxsplit=1)[0].strip()
    lead = LEAD.match(said)
    return said[lead.end() if lead else 0 :][:READ]


def words(text: str) -> str:
    """The words of a text with one blank between: no case, accents, punctuation, articles."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = (
        " " if unicodedata.category(each).startswith("P") else each
        for each in plain
        if not unicodedata.combining(each)
    )
    return " ".join(word for word in "".join(kept).split() if word not in ("a", "an", "the"))


def named(alias: str, said: str) -> bool:
    """Whether an answer names an alias: it is it, or has its words one after another.

    A short alias in capitals ("USA") has to stand there so; another short one ("pol") has to be the
    whole answer.
    """
    wanted, given = words(alias), words(said)
    if not wanted:  # a band called "!!!"
        return bool(alias.strip()) and alias.strip() in said
    if wanted == given:
        return True
    if len(wanted) > SHORT:
        return f" {wanted} " in f" {given} "
    capitals = alias != alias.lower()
    return capitals and re.search(rf"(?<!\w){re.escape(alias)}(?!\w)", said) is not None


TASK = PopQA()
