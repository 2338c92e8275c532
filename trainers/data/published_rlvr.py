"""Rows of Tülu 3's published RLVR data (`allenai/RLVR-GSM-MATH-IF-Mixed-Constraints`) as ours.

A published row names a verifier in `dataset` and holds what it checks in `ground_truth`: a number,
an expression, or a constraint in the notation of Tülu 3's first checkers. The constraints are
translated to IFEval's instructions; one whose meaning IFEval cannot express is refused with
`NotExpressibleError`, so that the mixture can leave it out and say how many. By which metric a
response is rewarded is the recipe's; `tulu3-8b-rlvr` names those that judge as the published verifiers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from olmes.errors import OlmesError
from olmes.types import Doc

Given = Mapping[str, Any]
Instruction = tuple[str, Doc]
"""An instruction id and its arguments."""


class NotExpressibleError(OlmesError):
    """A constraint that no instruction of IFEval expresses."""


def plain(id_: str, **names: str) -> Callable[[Given], list[Instruction]]:
    """One instruction with the same arguments under other names: `ours="theirs"`."""
    return lambda given: [(id_, {ours: given[theirs] for ours, theirs in names.items()})]


def counted(
    id_: str, relation: str, count: str, near: Callable[[int], int] | None = None, **names: str
) -> Callable[[Given], list[Instruction]]:
    """A count N with a quantifier: one bound, or two where it is bounded from both sides.

    Args:
        id_: the instruction.
        relation: its argument for "at least" or "less than".
        count: its argument for the bound.
        near: how far from N is still "around N"; None for constraints that mean exactly N.
        names: other arguments, as for `plain`.
    """

    def translate(given: Given) -> list[Instruction]:
        number = int(given["N"])
        others = {ours: given[theirs] for ours, theirs in names.items()}
        low, high = number, number
        match str(given.get("quantifier") or "").strip():
            case "":
                if near is not None:
                    raise NotExpressibleError("a count without a quantifier")
            case "at least":
                high = -1
            case "at most":
                low = -1
            case "less than":
                low, high = -1, number - 1
            case "around" if near is not None:
                low, high = number - near(number), number + near(number)
            case unknown:
                raise NotExpressibleError(f"the quantifier '{unknown}' is not known")
        bounds = [("at least", low)] * (low >= 0) + [("less than", high + 1)] * (high >= 0)
        return [(id_, {**others, relation: word, count: bound}) for word, bound in bounds]

    return translate


def tenth(number: int) -> int:
    """A tenth, rounded."""
    return round(number / 10)


TRANSLATIONS: Mapping[str, Callable[[Given], list[Instruction]]] = {
    "verify_keywords": plain("keywords:existence", keywords="keyword_list"),
    "verify_keyword_frequency": counted(
        "keywords:frequency", "relation", "frequency", keyword="word"
    ),
    "validate_forbidden_words": plain(
        "keywords:forbidden_words", forbidden_words="forbidden_words"
    ),
    "verify_letter_frequency": counted(
        "keywords:letter_frequency", "let_relation", "let_frequency", letter="letter"
    ),
    "validate_response_language": plain("language:response_language", language="language"),
    "validate_word_constraint": counted(
        "length_constraints:number_words", "relation", "num_words", tenth
    ),
    "verify_sentence_constraint": counted(
        "length_constraints:number_sentences", "relation", "num_sentences", lambda _: 1
    ),
    "verify_paragraph_count": plain("length_constraints:number_paragraphs", num_paragraphs="N"),
    "validate_paragraphs": plain(
        "length_constraints:nth_paragraph_first_word",
        num_paragraphs="N",
        nth_paragraph="i",
        first_word="first_word",
    ),
    "verify_postscript": plain(
        "detectable_content:postscript", postscript_marker="postscript_marker"
    ),
    "validate_placeholders": plain("detectable_content:number_placeholders", num_placeholders="N"),
    "verify_bullet_points": plain("detectable_format:number_bullet_lists", num_bullets="N"),
    "validate_title": plain("detectable_format:title"),
    "validate_highlighted_sections": plain(
        "detectable_format:number_highlighted_sections", num_highlights="N"
    ),
    "validate_sections": plain(
        "detectable_format:multiple_sections", section_spliter="section_splitter", num_sections="N"
    ),
    "validate_json_format": plain("detectable_format:json_format"),
    "validate_repeat_prompt": plain(
        "combination:repeat_prompt", prompt_to_repeat="original_prompt"
    ),
    "validate_two_responses": plain("combination:two_responses"),
    "validate_uppercase": plain("change_case:english_capital"),
    "validate_lowercase": plain("change_case:english_lowercase"),
    "validate_frequency_capital_words": counted(
        "change_case:capital_word_frequency", "capital_relation", "capital_frequency", tenth
    ),
    "validate_end": plain("startend:end_checker", end_phrase="end_phrase"),
    "validate_quotation": plain("startend:quotation"),
    "validate_no_commas": plain("punctuation:no_comma"),
}
"""By `func_name`. "Around" is within a tenth, for sentences within one. `validate_choice`, whose
options are the prompt's own, has no counterpart in IFEval."""


def from_published(row: Given) -> Given:
    """A row with `verifiers`; rows that have them, or are no published ones, stay as they are.

    Raises:
        NotExpressibleError: its constraint cannot be expressed.
        OlmesError: the row names a verifier that is not known.
    """
    if "verifiers" in row or not {"dataset", "ground_truth", "messages"} <= row.keys():
        return row
    kind, truth = str(row["dataset"]).lower(), row["ground_truth"]
    if kind == "gsm8k":
        doc: Doc = {"question": "", "answer": f"#### {truth}"}
        verifier = {"task": "gsm8k", "doc": doc}
    elif kind == "math":
        doc = {"problem": "", "level": "", "type": "", "solution": f"\\boxed{{{truth}}}"}
        verifier = {"task": "math", "doc": doc}
    elif kind == "ifeval":
        verifier = {"task": "ifeval", "doc": ifeval_doc(truth)}
    else:
        raise OlmesError(f"the published verifier '{kind}' is not known; write 'verifiers' instead")
    return {"messages": row["messages"], "verifiers": [verifier]}


def ifeval_doc(truth: Any) -> Doc:
    """An item of IFEval for one published constraint.

    Raises:
        NotExpressibleError: it cannot be expressed.
    """
    given = json.loads(truth) if isinstance(truth, str) else truth
    name = given.get("func_name", "")
    if name not in TRANSLATIONS:
        raise NotExpressibleError(f"the constraint '{name}' is not one of IFEval's")
    try:
        instructions = TRANSLATIONS[name](given)
    except (KeyError, TypeError, ValueError) as error:
        raise NotExpressibleError(f"the constraint '{name}' lacks an argument ({error})") from None
    ids, kwargs = zip(*instructions, strict=True)
    return {"prompt": "", "instruction_id_list": list(ids), "kwargs": list(kwargs)}
