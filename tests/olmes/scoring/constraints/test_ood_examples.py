"""IFEval-OOD and IFBench: every type has examples of both verdicts, and the weak checks are known.

The examples are the tables `CASES` of the files beside this one.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.ifbench.instructions import IFBENCH, IFBENCH_BY_REFERENCE
from olmes.scoring.constraints.judging import judge

Case = tuple[dict[str, Any], str, int, int]
TABLES = (
    "test_ood_count.py",
    "test_ood_custom.py",
    "test_ood_format.py",
    "test_ood_ratio_sentence.py",
    "test_ood_words.py",
)
ORDERED = {"reference_text": "the cat saw the dog", "percentage": 100}


def collected() -> dict[str, list[Case]]:
    """Arguments, text, verdict as stated and by the published check, by type, over all tables."""
    found: dict[str, list[Case]] = {}
    for name in TABLES:
        spec = importlib.util.spec_from_file_location(f"tables_of_{name[:-3]}", _beside(name))
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for id_, cases in module.CASES.items():
            assert id_ not in found, f"{id_} is in two tables"
            found[id_] = cases
    return found


def _beside(name: str) -> Path:
    return Path(__file__).with_name(name)


EXAMPLES = collected()
TYPES = sorted(IFBENCH.kinds)


def test_every_type_is_in_a_table_and_no_other() -> None:
    assert len(TYPES) == 62
    assert sorted(EXAMPLES) == TYPES


@pytest.mark.parametrize("id_", TYPES)
def test_three_different_texts_pass_and_three_fail(id_: str) -> None:
    passing: set[tuple[str, str]] = set()
    failing: set[tuple[str, str]] = set()
    for arguments, text, stated, _ in EXAMPLES[id_]:
        verdict = IFBENCH.build(id_, arguments).check(text)
        assert verdict == stated
        (passing if verdict else failing).add((str(arguments), text))
    assert len(passing) >= 3
    assert len(failing) >= 3


@pytest.mark.parametrize("id_", TYPES)
def test_where_the_published_check_is_another_an_example_shows_it(id_: str) -> None:
    """And where it is the same, no example shows a difference."""
    kind = IFBENCH.kinds[id_]
    assert issubclass(kind, OodConstraint)
    differing = any(stated != published for _, _, stated, published in EXAMPLES[id_])
    assert differing == (kind.reference is not Constraint.reference)


# The vacuous and partial checks (docs/protocol.md, section 4.6.1), with texts that are in no table:
# id | arguments | text | as stated | by the published check
WEAK: list[tuple[str, dict[str, Any], str, int, int]] = [
    ("format:sub-bullets", {}, "Plain prose without a single bullet.", 0, 1),
    ("format:sub-bullets", {}, "* apples - red and green\n* pears - yellow", 0, 1),
    ("format:sub-bullets", {}, "* apples\n* pears", 0, 0),
    ("format:quote_unquote", {}, "Nothing at all is quoted.", 0, 1),
    ("format:quote_unquote", {}, '"Home", "sweet" (home)', 0, 1),
    ("format:quote_unquote", {}, 'It is said: "Home sweet home".', 0, 0),
    ("words:repeats", {"small_n": 1}, "?!", 0, 1),
    ("words:repeats", {"small_n": 1}, "Fine.", 1, 1),
    ("words:repeats", {"small_n": 1}, "Fine, fine.", 0, 0),
    ("words:prime_lengths", {}, "?!", 0, 1),
    ("words:prime_lengths", {}, "No.", 1, 1),
    ("words:prime_lengths", {}, "Fine.", 0, 0),
    ("ratio:sentence_balance", {}, "a line that ends with nothing", 0, 1),
    ("ratio:sentence_balance", {}, "* one\n* two\n* three", 0, 1),
    ("ratio:sentence_type", {}, "What a day! What a night!", 0, 1),
    ("ratio:sentence_words", {}, "Cats nap. Cats nap. Cats nap.", 0, 1),
    ("ratio:sentence_words", {}, "Cats nap. Dogs bark. Cows moo.", 0, 0),
    ("format:thesis", {}, "# A\n<em>Tea wins.</em> It is hot.\n\n# B\nCoffee is bitter.", 0, 1),
    ("format:thesis", {}, "# A\nTea is hot.\n\n# B\n<i>Coffee loses.</i> Bitter.", 0, 1),
    ("ratio:overlap", ORDERED, "the dog saw the cat", 0, 0),
    # 13 of its 15 different runs of three characters are the reference text's.
    ("ratio:overlap", {**ORDERED, "percentage": 87}, "the dog saw the cat", 0, 1),
    ("ratio:overlap", {**ORDERED, "percentage": 0}, "the dog saw the cat", 1, 0),
    ("ratio:overlap", ORDERED, "The cat saw the dog", 1, 0),
    ("count:conjunctions", {"small_n": 3}, "And and AND", 0, 1),
    ("format:list", {"sep": "..."}, "Wait... what... no", 0, 1),
    ("format:line_indent", {}, "stairs", 0, 1),
    ("words:palindrome", {}, "kayak, " * 10, 0, 1),
    ("words:alphabet", {}, "Apples", 0, 1),
    ("words:last_first", {}, "Only one sentence here.", 0, 1),
    ("words:odd_even_syllables", {}, "Banana", 0, 1),
    ("sentence:increment", {"small_n": 3}, "Only one sentence here.", 0, 1),
    ("sentence:alliteration_increment", {}, "Only one sentence here.", 0, 1),
    ("count:levenshtein", {"reference_text": "Tea is hot.", "N": 3}, "Tea is hot.", 0, 1),
    ("format:camel_case", {}, "'no variable here'", 0, 1),
]


@pytest.mark.parametrize(("id_", "arguments", "text", "stated", "published"), WEAK)
def test_weak_checks_are_repeated_by_reference_only(
    id_: str, arguments: dict[str, Any], text: str, stated: int, published: int
) -> None:
    assert IFBENCH.build(id_, arguments).check(text) == stated
    assert IFBENCH_BY_REFERENCE.build(id_, arguments).check(text) == published


def test_the_weak_texts_are_no_repetition() -> None:
    known = {(id_, text) for id_, cases in EXAMPLES.items() for _, text, _, _ in cases}
    assert not known & {(id_, text) for id_, _, text, _, _ in WEAK}


@pytest.mark.parametrize("id_", TYPES)
@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_a_blank_text_passes_no_check(id_: str, text: str) -> None:
    arguments = EXAMPLES[id_][0][0]
    both = [catalog.build(id_, arguments) for catalog in (IFBENCH, IFBENCH_BY_REFERENCE)]
    assert not any(part["strict"] or part["loose"] for part in judge(both, text))
