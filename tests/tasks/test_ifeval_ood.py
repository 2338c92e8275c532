"""IFEval-OOD and IFBench: prompts to the byte, verdicts as published, an oracle over the whole data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Response
from olmes.benchmark.registry import load_task
from olmes.data import demo
from olmes.tools import jsonl
from olmes.tools.hashing import set_hash
from tests.golden import prompt_hash

TASK = load_task("ifeval_ood")
SAME = load_task("ifbench")
BY_REFERENCE = TASK.with_settings({"compat": "reference"})
METRICS = {
    "prompt_level_loose",
    "prompt_level_strict",
    "inst_level_loose",
    "inst_level_strict",
    "prompt_level_loose_reference",
}
ROW = {"key": "1", "prompt": "p", "instruction_id_list": ["format:sub-bullets"], "kwargs": [{}]}

# Every word has a consonant cluster, and so have few of the reference text: no 54 % of its trigrams.
NOT_COMPOSED = {"212"}
# "I know" on one line and each word on its own; the published list of capitals is without Kyiv.
NO_TEXT_MEETS_BOTH = {"105", "278"}


def official(shared_data: Path) -> list[dict[str, Any]]:
    return list(jsonl.read(shared_data / "ifbench/IFBench_test.jsonl.gz"))


def demo_docs(name: str = "ifeval_ood") -> list[dict[str, Any]]:
    return list(jsonl.read(Path(__file__).parents[2] / f"tasks/demo/{name}.jsonl"))


def test_prompts_are_the_references(shared_data: Path, shared_reference: Path) -> None:
    docs = official(shared_data)
    for golden in jsonl.read(shared_reference / "prompts/ifeval_ood.jsonl.gz"):
        request = TASK.request(docs[golden["doc_id"]])
        assert list(request.messages) == golden["messages"]
        assert request.prefill == golden["assistant_prefix"]
        assert request.generation.max_tokens == golden["generation"]["max_gen_toks"] == 2048
        assert request.generation.temperature == golden["generation"]["temperature"] == 0
        assert list(request.generation.stop) == golden["generation"]["stop_sequences"] == []
        assert TASK.gold(docs[golden["doc_id"]]) == golden["gold"]


def test_prompt_hashes_are_the_references(shared_data: Path, shared_reference: Path) -> None:
    docs = official(shared_data)
    rows = jsonl.read(shared_reference / "prompts/all_prompt_hashes.jsonl.gz")
    golden = next(row for row in rows if row["subtask"] == "ifeval_ood::tulu")
    assert len(golden["doc_ids"]) == 100
    for doc_id, wanted in zip(golden["doc_ids"], golden["sha256_16"], strict=True):
        request = TASK.request(docs[doc_id])
        assert SAME.request(docs[doc_id]) == request
        assert prompt_hash(request) == wanted


def test_content_hash_is_the_official_files(shared_data: Path) -> None:
    docs = official(shared_data)
    reduced = [{name: doc[name] for name in TASK.source.fields} for doc in docs]
    assert len(docs) == TASK.source.files[0].rows == 300
    assert set_hash(reduced) == TASK.source.content_hash
    assert len({id_ for doc in docs for id_ in doc["instruction_id_list"]}) == 58


def test_verdicts_are_the_references_and_the_publishers(
    shared_data: Path, shared_reference: Path
) -> None:
    """All 110 constraints of the 98 published responses, the six the reference could not judge too."""
    docs = official(shared_data)
    path = shared_data / "ifbench/outputs/eval_results_strict.every3rd.jsonl.gz"
    outputs = list(jsonl.read(path))
    judged = unavailable = 0
    for row in jsonl.read(shared_reference / "verdicts/ifeval_ood.jsonl.gz"):
        doc, output = docs[row["doc_id"]], outputs[row["source"]["row"]]
        values: dict[str, Any] = BY_REFERENCE.score(doc, Response(text=output["response"])).values
        assert set(values) == METRICS
        for mode in ("strict", "loose"):
            ours = values[f"inst_level_{mode}"]
            theirs = row["reference"][f"inst_level_{mode}_acc"]
            assert ours == [bool(flag) for flag in row[f"published_{mode}"]], row["key"]
            pairs = [pair for pair in zip(ours, theirs, strict=True) if pair[1] is not None]
            assert all(a == bool(b) for a, b in pairs), row["key"]
            assert values[f"prompt_level_{mode}"] == all(ours)
        judged += len(ours)
        unavailable += len(ours) - len(pairs)
        stated = TASK.score(doc, Response(text=output["response"])).values
        assert stated["prompt_level_loose_reference"] == values["prompt_level_loose"]
    assert (judged, unavailable) == (110, 6)


@pytest.mark.parametrize("mode", ["strict", "loose"])
def test_published_prompt_scores_are_reproduced(shared_data: Path, mode: str) -> None:
    docs = {doc["prompt"].strip(): doc for doc in official(shared_data)}
    rows = list(jsonl.read(shared_data / f"ifbench/outputs/eval_results_{mode}.every3rd.jsonl.gz"))
    scores: list[dict[str, Any]] = [
        BY_REFERENCE.score(docs[row["prompt"].strip()], Response(text=row["response"])).values
        for row in rows
    ]
    met = sum(values[f"prompt_level_{mode}"] for values in scores)
    assert (met, len(rows)) == ({"strict": 23, "loose": 27}[mode], 98)
    assert [bool(values[f"prompt_level_{mode}"]) for values in scores] == [
        row["follow_all_instructions"] for row in rows
    ]


def assert_oracle(doc: dict[str, Any], *, by_reference: bool = True) -> None:
    values: dict[str, Any] = TASK.score(doc, TASK.perfect_response(doc)).values
    assert values["prompt_level_loose"] == values["prompt_level_strict"] == 1.0, doc
    assert all(values["inst_level_loose"] + values["inst_level_strict"])
    assert values["prompt_level_loose_reference"] == float(by_reference), doc
    wrong = TASK.perfect_response(doc, corrupt=True)
    assert wrong.text.strip()
    assert TASK.score(doc, wrong).values["prompt_level_loose"] == 0.0, doc


def test_oracle_over_the_whole_data(shared_data: Path) -> None:
    docs = {doc["key"]: doc for doc in official(shared_data)}
    assert docs.keys() >= NOT_COMPOSED | NO_TEXT_MEETS_BOTH
    for key, doc in docs.items():
        if key in NOT_COMPOSED:
            assert TASK.perfect_response(doc).text == ""
        else:
            assert_oracle(doc, by_reference=key not in NO_TEXT_MEETS_BOTH)


def test_what_the_oracle_expects_leaves_out_what_no_text_can_meet(shared_data: Path) -> None:
    docs = {doc["key"]: doc for doc in official(shared_data)}
    for key in NOT_COMPOSED:
        assert TASK.perfect_values(docs[key]) == {}
    for key in NO_TEXT_MEETS_BOTH:
        assert METRICS - set(TASK.perfect_values(docs[key])) == {"prompt_level_loose_reference"}
        assert BY_REFERENCE.perfect_values(docs[key]) == {}
    assert TASK.perfect_values(docs["1"]) == dict.fromkeys(METRICS, 1.0)


def test_oracle_over_the_demo_data() -> None:
    for doc in demo_docs():
        capitals = doc["instruction_id_list"] == ["custom:european_capitals_sort"]
        assert_oracle(doc, by_reference=not capitals)


def test_the_demo_data_covers_every_type_and_pairs() -> None:
    docs = demo_docs()
    assert demo.find(SAME) == demo.find(TASK)
    assert [doc["key"] for doc in docs] == [str(900001 + n) for n in range(len(docs))]
    assert len({id_ for doc in docs for id_ in doc["instruction_id_list"]}) == 58
    assert sum(len(doc["instruction_id_list"]) == 2 for doc in docs) >= 6


def test_the_demo_data_is_not_the_benchmark(shared_data: Path) -> None:
    assert not {doc["prompt"] for doc in demo_docs()} & {
        doc["prompt"] for doc in official(shared_data)
    }


def test_the_two_checks_stand_side_by_side() -> None:
    """A text without a single bullet: missed as stated, met by the published check."""
    text = Response(text="No bullets here.")
    stated, published = TASK.score(ROW, text), BY_REFERENCE.score(ROW, text)
    assert stated.values == {
        "prompt_level_loose": 0.0,
        "prompt_level_strict": 0.0,
        "inst_level_loose": [False],
        "inst_level_strict": [False],
        "prompt_level_loose_reference": 1.0,
    }
    assert published.values == {
        "prompt_level_loose": 1.0,
        "prompt_level_strict": 1.0,
        "inst_level_loose": [True],
        "inst_level_strict": [True],
        "prompt_level_loose_reference": 1.0,
    }
    assert stated.parts[0]["note"] == "by the published check: strictly met, loosely met"
    assert published.parts[0]["note"] == "as stated: strictly missed, loosely missed"
    agreed = TASK.score(ROW, Response(text="* a\n  - b"))
    assert agreed.parts == [{"id": "format:sub-bullets", "strict": True, "loose": True}]


def test_only_one_loose_reading_need_differ() -> None:
    """Without asterisks nothing is a bullet to the published check, which then passes anything."""
    verdict = TASK.score(ROW, Response(text="* a"))
    assert verdict.parts[0]["note"] == "by the published check: loosely met"


def test_compat_makes_another_formulation_and_no_other_word_does() -> None:
    assert TASK.standard
    assert not BY_REFERENCE.standard
    assert TASK.formulation_hash != BY_REFERENCE.formulation_hash
    with pytest.raises(OlmesError, match="compat"):
        TASK.with_settings({"compat": "published"})


def test_both_names_are_one_task() -> None:
    assert (TASK.name, SAME.name) == ("ifeval_ood", "ifbench")
    assert TASK.source == SAME.source
    assert TASK.formulation == SAME.formulation
    assert TASK.metrics == SAME.metrics
    assert {metric.name for metric in TASK.metrics} == METRICS
    assert TASK.primary == "prompt_level_loose"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_blank_response_fails_and_says_so(text: str) -> None:
    verdict = TASK.score(ROW, Response(text=text))
    assert verdict.values == TASK.wrong_values(ROW)
    assert "blank" in verdict.note


def test_a_missing_argument_is_an_error_that_names_item_and_argument() -> None:
    doc = {**ROW, "instruction_id_list": ["count:numbers"], "kwargs": [{"N": None}]}
    with pytest.raises(OlmesError, match="item 1: count:numbers needs the argument 'N'"):
        TASK.score(doc, Response(text="a"))


def test_preparing_loads_what_scoring_needs(
    opened_while_scoring: Callable[..., list[str]],
) -> None:
    docs = demo_docs()
    pairs = [(doc, TASK.perfect_response(doc).text) for doc in docs]
    assert opened_while_scoring("ifeval_ood", pairs) == []


@pytest.mark.parametrize(("text", "stated", "published"), [("Yes.", 44, 104), ("...", 4, 85)])
def test_short_answers_do_not_pass_as_stated(
    shared_data: Path, text: str, stated: int, published: int
) -> None:
    """What docs/ifbench-agreement.md says of one short answer to all prompts."""
    docs = official(shared_data)
    scores: list[dict[str, Any]] = [TASK.score(doc, Response(text=text)).values for doc in docs]
    assert sum(values["prompt_level_loose"] for values in scores) == stated
    assert sum(values["prompt_level_loose_reference"] for values in scores) == published
