"""IFEval-OOD, fresh: the exam of a seed, its prompts, and an oracle over several exams."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Response
from olmes.benchmark.registry import load_task
from olmes.data.dataset import content_hash
from olmes.data.resolve import resolve
from olmes.scoring.constraints.fresh.instructions import (
    FAMILIES,
    FAMILY,
    FRESH,
    JOINTS,
    LATER,
    Base,
    draw_exam,
    read_bases,
)
from olmes.tools import jsonl

TASK = load_task("ifeval_ood_fresh")
BASES = read_bases(Path(__file__).parents[2] / "tasks/ifeval_ood_fresh.toml")
SEEDS = (2411, 7, 1, 2, 3)
GROUPS = {"count": 10, "format": 12, "ratio": 5, "sentence": 3, "words": 11, "custom": 11}


@cache
def exam(seed: int = 2411) -> list[dict[str, Any]]:
    docs = TASK.with_settings({"seed": seed}).generated()
    assert docs is not None
    return list(docs)


def only(doc: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    (id_,), (arguments,) = doc["instruction_id_list"], doc["kwargs"]
    return id_, arguments


def test_the_standard_exam_is_pinned() -> None:
    """Any platform and version of Python must draw this; a changed draw or request is a new exam."""
    wanted = "7f48f145495289c0528a5bca7aeee3cfc02d185233ef23e469e86acdc79b9ef2"
    assert content_hash(TASK.source, [("", exam())]) == TASK.source.content_hash == wanted
    data = resolve(TASK, say=lambda line: None)
    assert data.official
    assert data.origin == "generated"
    assert [instance.doc for instance in data.instances] == exam()


def test_six_prompts_of_each_of_the_papers_52_types() -> None:
    docs = exam()
    counts = Counter(only(doc)[0] for doc in docs)
    assert len(FRESH.kinds) == len(counts) == 52
    assert set(counts.values()) == {6}
    assert Counter(id_.split(":")[0] for id_ in counts) == GROUPS
    assert Counter(TASK.subtask(doc) for doc in docs) == {g: 6 * n for g, n in GROUPS.items()}
    assert not counts.keys() & LATER
    dropped = {"count:countries", "count:levenshtein", "count:words_french", "format:camel_case"}
    assert dropped < counts.keys()
    assert len({only(doc)[0] for doc in docs[:52]}) == 52


@pytest.mark.parametrize("seed", SEEDS)
def test_prompts_are_different_and_hold_their_constraint(seed: int) -> None:
    docs = exam(seed)
    assert len({doc["prompt"] for doc in docs}) == len({doc["key"] for doc in docs}) == 312
    texts = {base.text: base for base in BASES}
    for doc in docs:
        id_, arguments = only(doc)
        told = FRESH.build(id_, arguments).describe()
        assert doc["prompt"].endswith(told)
        before = doc["prompt"].removesuffix(told)
        if id_.startswith("custom:"):
            assert before == ""
            continue
        base = texts[before.rstrip()]
        assert before.removeprefix(base.text) in JOINTS
        assert FAMILY[id_] in base.suits
        if "\n" in base.text:
            assert before.endswith("\n\n")
        assert arguments.get("reference_text", base.reference) == base.reference
        assert arguments.get("options", base.options) == base.options
        assert arguments.get("word", "") in ("", *base.keywords)
    requests = Counter((only(doc)[0], doc["prompt"].split("\n")[0][:40]) for doc in docs)
    assert max(n for (id_, _), n in requests.items() if not id_.startswith("custom:")) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_prompts_read_well(seed: int) -> None:
    told = "\n".join(doc["prompt"] for doc in exam(seed))
    assert not re.search(
        r"\b(exactly|least|than) 1 \w|\b[0-3]-th\b|\b1\dst\b|[{]percentage|  ", told
    )
    assert not re.search(r"\b(?:[2-9]1|[2-9]2|[2-9]3)th\b", told)
    for doc in exam(seed):
        id_, arguments = only(doc)
        if id_ == "count:person_names":
            assert 3 <= arguments["N"] <= 12
        if id_ == "ratio:overlap":
            assert 20 <= arguments["percentage"] <= 60


def test_the_joints_are_all_used() -> None:
    constraints = ((doc["prompt"], FRESH.build(*only(doc)).describe()) for doc in exam())
    before = [prompt.removesuffix(told) for prompt, told in constraints]
    ends = Counter(len(text) - len(text.rstrip("\n")) for text in before if text)
    assert set(ends) == {0, 1, 2}
    assert min(ends.values()) > 40


def test_another_seed_is_another_exam_and_another_formulation() -> None:
    other = TASK.with_settings({"seed": "7"})
    assert TASK.standard
    assert not other.standard
    assert other.formulation_hash != TASK.formulation_hash
    assert content_hash(TASK.source, [("", exam(7))]) != TASK.source.content_hash
    shared = {doc["prompt"] for doc in exam()} & {doc["prompt"] for doc in exam(7)}
    assert len(shared) < 60
    assert list(other.generated() or ()) == exam(7)
    assert not resolve(other, say=lambda line: None).official


def test_types_are_drawn_independently() -> None:
    """A request more for one family leaves the items of every other as they are."""
    more = [*BASES, Base(text="Write a Python class for a stack.", suits=("code",))]
    pairs = zip(exam(), draw_exam(TASK.name, more, seed=2411, per_type=6), strict=True)
    assert {only(doc)[0] for doc, other in pairs if doc != other} <= {"format:camel_case"}


def test_more_or_fewer_prompts_a_type() -> None:
    assert len(TASK.with_settings({"per_type": 1}).generated() or ()) == 52
    assert len(TASK.with_settings({"per_type": 12}).generated() or ()) == 624
    with pytest.raises(OlmesError, match=r"set ifeval_ood_fresh.per_type to 12 or less"):
        TASK.with_settings({"per_type": 13}).generated()
    with pytest.raises(OlmesError, match=r"1 or more, not 0"):
        TASK.with_settings({"per_type": 0}).generated()


def test_requests_are_many_and_fit_their_family() -> None:
    assert len(BASES) >= 80
    assert len({base.text for base in BASES}) == len(BASES)
    counts = Counter(family for base in BASES for family in base.suits)
    assert counts.keys() == FAMILIES.keys()
    assert min(counts.values()) >= 12
    for base in BASES:
        assert base.text == base.text.strip()
        assert base.text[-1] in ".?!" or "\n" in base.text
        assert bool(base.keywords) == ("prose" in base.suits)
        assert bool(base.options) == ("options" in base.suits)
        assert bool(base.reference) == bool({"polish", "retell"} & set(base.suits))
        # Shorter passages cannot tell shares of trigrams apart.
        assert len(base.reference.split()) > 60 or "retell" not in base.suits


def test_prompts_are_in_no_published_set(shared_data: Path) -> None:
    published = " ".join(
        row["prompt"].lower()
        for name in ("ifbench/IFBench_test.jsonl.gz", "ifeval/input_data.jsonl.gz")
        for row in jsonl.read(shared_data / name)
    )
    assert len(published) > 100_000
    assert not [base.text for base in BASES if base.text.lower() in published]
    custom = [doc["prompt"] for doc in exam() if only(doc)[0].startswith("custom:")]
    assert not [prompt for prompt in custom if prompt.lower() in published]


@pytest.mark.parametrize("seed", SEEDS)
def test_oracle_over_whole_exams(seed: int) -> None:
    for doc in exam(seed):
        values = TASK.score(doc, TASK.perfect_response(doc)).values
        assert values == {
            "prompt_level_loose": 1.0,
            "prompt_level_strict": 1.0,
            "inst_level_loose": [True],
            "inst_level_strict": [True],
        }, doc
        wrong = TASK.perfect_response(doc, corrupt=True)
        assert wrong.text.strip()
        assert TASK.score(doc, wrong).values == TASK.wrong_values(doc), doc


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_blank_response_fails_and_says_so(text: str) -> None:
    for doc in exam()[:52]:
        verdict = TASK.score(doc, Response(text=text))
        assert verdict.values == TASK.wrong_values(doc)
        assert "blank" in verdict.note


def test_short_answers_pass_seldom() -> None:
    """What docs/ifeval-ood-fresh.md says of one short answer to all prompts."""
    met = {
        text: sum(
            TASK.score(doc, Response(text=text)).values["prompt_level_loose"] == 1 for doc in exam()
        )
        for text in ("Yes.", "...", "I am sorry, but I cannot help with that.")
    }
    assert met == {"Yes.": 38, "...": 0, "I am sorry, but I cannot help with that.": 12}


def test_request_and_gold_are_the_row() -> None:
    doc = exam()[0]
    request = TASK.request(doc)
    assert list(request.messages) == [{"role": "user", "content": doc["prompt"]}]
    assert request.generation.max_tokens == 2048
    assert request.generation.temperature == 0
    assert TASK.gold(doc) == {name: doc[name] for name in ("instruction_id_list", "kwargs")}
    assert TASK.primary == "prompt_level_loose"
    assert TASK.formulation.aggregate == "micro"


def test_preparing_loads_what_scoring_needs(
    opened_while_scoring: Callable[..., list[str]],
) -> None:
    docs = {id_: doc for doc in exam() for id_ in doc["instruction_id_list"]}.values()
    pairs = [(doc, TASK.perfect_response(doc).text) for doc in docs]
    assert opened_while_scoring("ifeval_ood_fresh", pairs) == []
