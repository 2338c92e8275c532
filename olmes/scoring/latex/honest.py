r"""Whether a response to a problem with an answer in LaTeX is right, as a reader would judge it.

One statement of the response counts (`answers.statement`), and all of it: it is read as plain
mathematics or LaTeX and compared exactly (`expressions.same_answer`). Where the gold answer is
beyond that reader, the library math-verify compares.
"""

from __future__ import annotations

from functools import partial

from olmes.scoring.answers.mark import Origin
from olmes.scoring.answers.statement import stated_answer
from olmes.scoring.expressions.asked import bases_of, form_of, repeats
from olmes.scoring.expressions.prose import only_formula
from olmes.scoring.expressions.same_answer import Comparison, in_words, of_its_kind, same_answer
from olmes.scoring.latex.mathverify import same_to_the_library, tidied

LONG = 400
"""Characters of an answer that is judged; the longest gold of MATH has 81."""


def verified(gold: str, response: str, *, question: str = "", complete: bool = True) -> bool:
    r"""Whether a response gives the gold answer.

    Args:
        gold: what the solution's box holds, as LaTeX.
        response: the text of a response.
        question: the problem. An answer that only repeats its expression is none, and where it asks
            to factor, expand or simplify, that must be done.
        complete: whether the response ended by itself.
    """
    wanted = partial(of_its_kind, in_words=in_words(gold))
    stated = stated_answer(response, complete=complete, wanted=wanted)
    if stated is None or not gold:
        return False
    formula = stated.origin is Origin.BOX
    alone = None if stated.origin in (Origin.BOX, Origin.LINE) else only_formula(stated.text)
    texts = dict.fromkeys((stated.text, stated.predicate, alone or stated.text))
    return any(right(gold, text, question, formula=formula) for text in texts if len(text) <= LONG)


def right(gold: str, answer: str, question: str = "", *, formula: bool = True) -> bool:
    """Whether a stated answer, a `formula` or a piece of a sentence, is the gold one."""
    if tidied(answer) == tidied(gold):
        return True
    if question and repeats(question, answer, gold):
        return False
    asked = Comparison(form_of(question), bases_of(question))
    found = same_answer(gold, answer, asked, formula=formula)
    if found is None:
        return same_to_the_library(gold, answer)
    return found
