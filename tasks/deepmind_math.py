"""DeepMind Mathematics: 56 categories of generated problems (Saxton et al. 2019), 100 of each.

Zero-shot chain of thought with OLMES's third prompt (`deepmind_math:0shot_cot-v3::tulu3`), which
asks for one closing sentence and shows example answers of the category. The protocol's metric hands
the answer to sympy; the honest one beside it reads the answer as a person would.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

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
    exemplars,
    prompts,
)
from olmes.scoring.answers.number_words import in_digits
from olmes.scoring.answers.statement import stated_answer
from olmes.scoring.expressions import answer_math, answer_words
from olmes.scoring.expressions.closing_phrase import closing
from olmes.scoring.expressions.expression import UnreadableExpressionError
from olmes.scoring.expressions.notation import tidied
from olmes.scoring.expressions.sympy_equality import compare

CATEGORIES: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text("utf-8")
)
PROMPT = """Solve the following math problem efficiently:
{question}

Show your work and conclude with the exact phrasing "Therefore, the final answer is [answer]. I hope \
it is correct." where [answer] is just the final number, expression, or answer label representing \
the solution.  Some example answers from this question category:
{examples}

Note the formatting for the following answer types:
- If the answer is a list (e.g., when there are two solutions to an equation), unless otherwise \
specified, present the solutions in a list separated by commas ordering them from the smallest to \
biggest  e.g.: 2, 10
- Powers should be written with **, for instance x to the power of 2 should be written as x**2
- Use * for multiplication, e.g.: 2*x
- For fractions, separate the numerator and denominator with a slash (/) e.g.: -2/7"""
CLOSING = "Therefore, the final answer is {answer}. I hope it is correct."

FORMS = {
    "algebra__polynomial_roots": answer_math.factored,
    "algebra__polynomial_roots_composed": answer_math.factored,
    "arithmetic__simplify_surd": answer_math.surd,
    "polynomials__collect": answer_math.simplified,
    "polynomials__expand": answer_math.expanded,
    "polynomials__simplify_power": answer_math.simplified,
}
"""What an expression must look like to be the answer, where the question asks for a form."""
IN_BASE = ("arithmetic__add_or_sub_in_base", "numbers__base_conversion")
ORDERED = ("comparison__sort", "comparison__sort_composed")
UNORDERED = (
    "algebra__polynomial_roots",
    "algebra__polynomial_roots_composed",
    "numbers__list_prime_factors",
    "numbers__list_prime_factors_composed",
)


@dataclass(frozen=True, kw_only=True)
class DeepMindFormulation(Formulation):
    """The prompt shows one line for each example answer of the category."""

    example: str = f'- If the answer is {{answer}}, conclude with "{CLOSING}"'


class DeepMindMath(Task):
    """The answer in the closing sentence against the gold one, as sympy compares them."""

    name = "deepmind_math"
    title = "DeepMind Mathematics"
    source = Source(
        files=tuple(
            DataFile(
                path=f"dm_mathematics/olmes_sample100/{category}.jsonl.gz",
                github="bminixhofer/olmes:oe_eval/data/deepmind_math_sample100/"
                f"{category}/test.jsonl.gz@5fe45c5",
                sha256=facts["sha256"],
                rows=100,
                subtask=category,
            )
            for category, facts in CATEGORIES.items()
        ),
        fields=("question", "answer"),
        question=("question",),
        answer=("answer",),
        content_hash="508e5a13238e4e891fc6b72e5b995231e8b3dfe4a2febe6dd3f216672740923d",
        licence="Apache-2.0",
    )
    metrics = (
        Metric(name="exact_match", help="the closing sentence's answer equals the gold, to sympy"),
        Metric(
            name="answer_format_correct",
            help="1 with the whole closing sentence, 0.5 without it",
        ),
        Metric(
            name="exact_match_lenient",
            help="the stated answer is the gold one, exactly, however it is written",
            honest=True,
        ),
    )
    primary = "exact_match"
    fixed = (
        "version",
        "shots",
        "exemplars",
        "description",
        "answer",
        "final",
        "prefill",
        "multiturn",
        "extract",
    )
    formulation = DeepMindFormulation(
        version=1,
        exemplars="example answers of each category, OLMES prompt v3; 8370561a79809e0e",
        question=PROMPT,
        extract=(r"(?i)Therefore, the final answer is (.*?)\. I hope it is correct.",),
        aggregate="macro",
        generation=Generation(max_tokens=2048),
    )

    def request(self, doc: Doc) -> Request:
        """One turn: the problem, the closing sentence, example answers, notes on notation."""
        form = self.formulation
        assert isinstance(form, DeepMindFormulation)
        examples = "\n".join(form.example.format(answer=each) for each in examples_of(doc))
        question = form.question.format(question=unwrapped(doc["question"]), examples=examples)
        return Request(messages=prompts.chat(question), generation=form.generation)

    def gold(self, doc: Doc) -> str:
        """The answer in the generator's notation, which is Python's."""
        return unwrapped(doc["answer"])

    def item_texts(self, doc: Doc, *, answers: bool = False) -> list[str]:
        """Without what the data set's strings carry."""
        # In double quotes too, which the prompt shows as they are and nobody's training data have.
        texts = super().item_texts(doc, answers=answers)
        return [unwrapped(re.sub(r'^b"(.*)\\n"$', r"\1", text)) for text in texts]

    def subtask(self, doc: Doc) -> str:
        """The category."""
        return str(doc["subtask"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """The protocol's verdict on the closing sentence; beside it the lenient one."""
        gold, found = self.gold(doc), closing(response.text)
        protocol = compare(gold, found.answer)
        stated = stated_answer(response.text, complete=response.finish != "length")
        lenient = stated is not None and (
            right(doc, gold, stated.text) or right(doc, gold, in_digits(stated.predicate))
        )
        note = f"not read: {protocol.unread}" if protocol.unread and found.answer else ""
        return Verdict(
            values={
                "exact_match": float(protocol.equal),
                "answer_format_correct": 1.0 if found.in_form else 0.5,
                "exact_match_lenient": float(lenient),
            },
            extracted=found.answer or None,
            unparsed=not found.answer,
            misformatted=not found.in_form,
            note=note,
        )

    def vote(self, extracted: Any) -> str | None:
        """The answer without blanks and capitals: `x + 1` is `x+1`, `True` is `true`."""
        return "".join(extracted.split()).lower() if isinstance(extracted, str) else None

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The gold in the closing sentence; another answer of its kind when `corrupt`."""
        gold = self.gold(doc)
        return Response(text=CLOSING.format(answer=another(gold) if corrupt else gold))

    def prepare(self) -> None:
        """Import what compares numbers."""
        from olmes.scoring.expressions.value import numbers

        numbers()


def unwrapped(text: str) -> str:
    r"""A field without the `b'` and `\n'` that the data set's strings carry.

    Where the question holds an apostrophe the wrapping has double quotes; the reference leaves it,
    and so do the published prompts (all of `algebra__sequence_nth_term`).
    """
    return re.sub(r"\\n'$", "", text.removeprefix("b'")).strip()


@lru_cache(maxsize=1)
def all_examples() -> dict[str, list[str]]:
    """The example answers of every category, as published."""
    examples = {category: facts["examples"] for category, facts in CATEGORIES.items()}
    return exemplars.checked(examples, "8370561a79809e0e", "deepmind_math.toml")


def examples_of(doc: Doc) -> list[str]:
    """The example answers of an item's category."""
    return all_examples()[doc["subtask"]]


def right(doc: Doc, gold: str, stated: str) -> bool:
    """Whether a stated answer is the gold one, by the kind of answer the category has."""
    category, question = doc["subtask"], unwrapped(doc["question"])
    try:
        answer = tidied(stated)
    except UnreadableExpressionError:
        return False
    if gold in ("True", "False"):
        return answer_words.same_truth(gold, answer)
    if category in IN_BASE:
        return answer_words.same_numeral(gold, answer, question)
    if category in ORDERED:
        return answer_math.same_order(gold, answer)
    if category == "measurement__time" and ":" in gold:
        return answer_words.same_time(gold, answer)
    if category.startswith("comparison") and gold.isalpha():
        if gold in answer_words.options(question):
            return answer_words.same_choice(gold, answer, question)
        return answer_words.same_name(gold, answer)
    if re.search("[a-z]", gold):
        return answer_math.same_expression(gold, answer, FORMS.get(category))
    if category in UNORDERED:
        return answer_math.same_numbers(gold, answer)
    if category.startswith("measurement"):
        return answer_words.same_quantity(gold, answer, question)
    return answer_math.same_number(gold, answer, percent=category.startswith("probability"))


def another(gold: str) -> str:
    """A wrong answer of the same kind: the last digit, or else the last letter, is the next one."""
    if gold in ("True", "False"):
        return str(gold == "False")
    at = max((at for at, each in enumerate(gold) if each.isdigit()), default=-1)
    if at < 0:
        at = max(at for at, each in enumerate(gold) if each.isalpha())
        changed = "a" if gold[at] == "z" else chr(ord(gold[at]) + 1)
    else:
        changed = str((int(gold[at]) + 1) % 10)
    return gold[:at] + changed + gold[at + 1 :]


TASK = DeepMindMath()
