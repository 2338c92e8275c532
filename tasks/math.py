r"""MATH: competition problems, 4-shot chain of thought (Tülu 3, Table 24; `minerva_math::tulu`).

A multi-turn chat of the four Minerva exemplars; the paper reports `exact_match_flex`, which takes
the answer from the exemplars' closing line or from a box.
"""

from __future__ import annotations

from contextlib import suppress
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
from olmes.scoring.answers.mark import Origin
from olmes.scoring.answers.statement import stated_answer
from olmes.scoring.latex import equality as latex
from olmes.scoring.latex import hendrycks, honest, mathverify, minerva

SUBJECTS = (
    *("algebra", "counting_and_probability", "geometry", "intermediate_algebra"),
    *("number_theory", "prealgebra", "precalculus"),
)


class MATH(Task):
    """The stated answer against what the solution boxes: as the protocol judges, and honestly."""

    name = "math"
    title = "MATH"
    source = Source(
        files=(
            DataFile(
                path="math/test.jsonl.gz",
                github="ZubinGou/math-evaluation-harness:data/math/test.jsonl"
                "@db77bc6bb2a17c90ed2d63e88ebd8c40a82858c5",
                sha256="3371949f33dd702d04b43fddd7d53a028de0aaca0e76abb1b875a050297b3aa4",
                rows=5000,
            ),
        ),
        hub=tuple(
            HubSplit(repository="EleutherAI/hendrycks_math", config=subject, split="test")
            for subject in SUBJECTS
        ),
        fields=("problem", "level", "type", "solution"),
        question=("problem",),
        answer=("solution",),
        content_hash="5e91bb45385f5f6b5a96f2251d9485eefd556a98b7cec3ddbd0aa96792003a70",
        licence="MIT",
    )
    metrics = (
        Metric(
            name="exact_match",
            help="the closing line's answer is the gold one to sympy; a box alone does not count",
        ),
        Metric(
            name="exact_match_flex",
            help="the closing line's or the box's answer is the gold one, to sympy or as a string",
        ),
        Metric(
            name="math_verify",
            help="the stated answer is the gold one, exactly, however it is written",
            honest=True,
        ),
    )
    primary = "exact_match_flex"
    scorers = ("score", "score_math_verify")
    fixed = ("version", "exemplars", "description", "final", "prefill", "multiturn", "extract")
    formulation = Formulation(
        version=1,
        shots=4,
        exemplars="lm-eval minerva_math list_fewshot_samples, misprints as OLMES Minerva:MATH",
        question="Problem:\n{problem}\n\nSolution:",
        answer="{solution}",
        extract=(r"Final Answer: The final answer is(.*?). I hope it is correct.", r"\boxed{...}"),
        aggregate="macro",
        generation=Generation(max_tokens=1024),
    )

    def prepare(self) -> None:
        """Import sympy, mpmath and the library, and read one formula with each."""
        latex.equal("x+1", "1+x")
        honest.verified("x+1", r"\boxed{1+x}")
        mathverify.same_to_the_library("x+1", "1+x")

    def subtask(self, doc: Doc) -> str:
        """The problem's subject: `counting_and_probability` for "Counting & Probability"."""
        return str(doc["type"]).lower().replace("&", "and").replace(" ", "_")

    def request(self, doc: Doc) -> Request:
        """Four worked examples as turns, then the problem."""
        form = self.formulation
        shots = [
            (form.question.format(**shot), form.answer.format(**shot))
            for shot in self.take_shots(worked_examples())
        ]
        question = form.question.format(problem=doc["problem"])
        return Request(messages=prompts.chat(question, exemplars=shots), generation=form.generation)

    def gold(self, doc: Doc) -> str:
        """What the solution's last box holds, in the protocol's normal form."""
        return minerva.normalized(boxed_gold(doc))

    def score(self, doc: Doc, response: Response) -> Verdict:
        """The two metrics of the protocol."""
        gold, line = self.gold(doc), minerva.minerva_answer(response.text)
        stated = None if line is None else minerva.normalized(line)
        boxed = minerva.boxed_answer(response.text)
        candidates = candidate_answers(response.text, stated, boxed)
        strict = stated is not None and latex.equal(stated, gold)
        # Strings first: the order does not matter for the verdict, and this one costs nothing.
        flex = (
            strict
            or any(hendrycks.equal(candidate, gold) for candidate in candidates)
            or any(latex.equal(candidate, gold) for candidate in candidates)
        )
        return Verdict(
            values={"exact_match": float(strict), "exact_match_flex": float(flex)},
            extracted=candidates,
            unparsed=line is None and boxed is None,
            misformatted=line is None,
        )

    def score_math_verify(self, doc: Doc, response: Response) -> Verdict:
        """The honest metric, named after the library that it grew from."""
        complete = response.finish != "length"
        right = any(
            honest.verified(gold, response.text, question=doc["problem"], complete=complete)
            for gold in honest_golds(doc["solution"])
        )
        return Verdict(values={"math_verify": float(right)})

    def vote(self, extracted: Any) -> str | None:
        """The normal form of the answer of the closing line, else of the box."""
        first = extracted[0] if isinstance(extracted, list) and extracted else None
        if not isinstance(first, str):
            return None
        with suppress(hendrycks.NoNormalFormError):
            return hendrycks.normal_form(first) or None
        return super().vote(first)

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The gold in a box and in the closing line; when `corrupt` an answer no problem has."""
        answer = "7919q" if corrupt else boxed_gold(doc).replace("\n", " ")
        return Response(
            text=f"So we get $\\boxed{{{answer}}}$.\n{minerva.LINE} ${answer}$. {minerva.APPENDED}"
        )

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """What `perfect_response` scores: 1, but 0 on `exact_match` where sympy cannot read the gold.

        A fault of the protocol's metric: it compares by sympy alone, and tuples, intervals and
        matrices (264 of 5,000 golds) are not in sympy's LaTeX grammar.
        """
        gold = self.gold(doc)
        return {
            "exact_match": float(latex.equal(gold, gold)),
            "exact_match_flex": 1.0,
            "math_verify": 1.0,
        }


def candidate_answers(text: str, stated: str | None, boxed: str | None) -> list[str]:
    """The answers of which any may be right: closing line and box, else dollars, else everything.

    Args:
        text: the response.
        stated: the normalised answer of the closing line, if there is one.
        boxed: what the last box holds, if there is one.

    Returns:
        One or two normalised answers.
    """
    candidates = [] if stated in (None, minerva.NO_ANSWER) else [str(stated)]
    if boxed is not None:
        candidates.append(minerva.normalized(boxed))
    if candidates:
        return candidates
    formula = minerva.between_dollars(text)
    return [minerva.normalized(text if formula is None else formula)]


def boxed_gold(doc: Doc) -> str:
    """What the last box of the official solution holds, as LaTeX."""
    return minerva.boxed_answer(doc["solution"]) or ""


@lru_cache(maxsize=1024)
def honest_golds(solution: str) -> tuple[str, ...]:
    """What the last box of an official solution holds, and where it has two answers also both."""
    boxed = minerva.boxed_answer(solution) or ""
    stated = stated_answer(solution)
    if stated is None or stated.origin is not Origin.BOX or stated.text == boxed.strip():
        return (boxed,)
    return (boxed, stated.text)


@lru_cache(maxsize=1)
def worked_examples() -> list[dict[str, Any]]:
    """The four exemplars of Lewkowycz et al. (2022), with the misprints they were used with."""
    path = ("lm_eval", "tasks/minerva_math/utils.py")
    shots = exemplars.from_function(*path, "list_fewshot_samples")
    shots = exemplars.checked(shots, "9d4e3bb35f8083df", "/".join(path))
    shots = [{key: shot[key] for key in ("problem", "solution")} for shot in shots]
    shots[0]["problem"] += "}"
    for shot, key in ((shots[2], "solution"), (shots[3], "problem")):
        shot[key] = shot[key].replace("\\\\\n", "\\\n")  # line breaks of `align` lost a backslash
    return exemplars.checked(shots, "09d64be0e8398e03", "/".join(path) + " with misprints")


TASK = MATH()
