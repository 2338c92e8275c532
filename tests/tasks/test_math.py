"""MATH: prompts to the byte, verdicts as the reference's, and the honest metric beside them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Response
from olmes.benchmark import exemplars
from olmes.scoring.latex import minerva
from olmes.tasks.math import TASK
from tests.golden import prompt_hash

CLOSED = "Final Answer: The final answer is {}. I hope it is correct."


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def demo_docs() -> list[dict[str, Any]]:
    path = Path(__file__).parents[2] / "tasks/demo/math.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def doc(gold: str) -> dict[str, Any]:
    return {"problem": "", "level": "Level 1", "type": "Algebra", "solution": rf"\boxed{{{gold}}}"}


def values(item: dict[str, Any], text: str) -> dict[str, Any]:
    response = Response(text=text)
    return {
        **TASK.score(item, response).values,
        **TASK.score_math_verify(item, response).values,
    }


def protocol(item: dict[str, Any], text: str) -> dict[str, Any]:
    return TASK.score(item, Response(text=text)).values


# Prompts


def test_golden_prompts(shared_data: Path, shared_reference: Path) -> None:
    docs = rows(shared_data / "math/test.jsonl.gz")
    golden = rows(shared_reference / "prompts/minerva_math.jsonl.gz")
    assert len(golden) == 21
    for row in golden:
        item = docs[row["doc_id"]]
        request = TASK.request(item)
        assert list(request.messages) == row["messages"]
        assert request.prefill == row["assistant_prefix"]
        assert request.generation.max_tokens == row["generation"]["max_gen_toks"]
        assert list(request.generation.stop) == row["generation"]["stop_sequences"]
        assert request.generation.temperature == row["generation"]["temperature"]
        assert row["subtask"] == f"minerva_math_{TASK.subtask(item)}::tulu"
        assert TASK.gold(item) == row["gold"]


def test_every_recorded_prompt_hash(shared_data: Path, shared_reference: Path) -> None:
    docs = rows(shared_data / "math/test.jsonl.gz")
    checked = 0
    for row in rows(shared_reference / "prompts/all_prompt_hashes.jsonl.gz"):
        if not row["subtask"].startswith("minerva_math"):
            continue
        for doc_id, expected in zip(row["doc_ids"], row["sha256_16"], strict=True):
            assert prompt_hash(TASK.request(docs[doc_id])) == expected
            checked += 1
    assert checked == 1668


def test_changed_exemplars_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    other = [{"problem": "p", "solution": "s", "few_shot": "1"}] * 4
    monkeypatch.setattr(exemplars, "from_function", lambda *_: other)
    examples = TASK.request.__globals__["worked_examples"]
    examples.cache_clear()
    with pytest.raises(OlmesError, match="have changed"):
        TASK.request(doc("1"))
    examples.cache_clear()


def test_fewer_shots() -> None:
    assert len(TASK.with_settings({"shots": 1}).request(doc("1")).messages) == 3


# Verdicts of the reference implementation


def test_samples_are_judged_as_the_reference_judges(
    shared_data: Path, shared_reference: Path
) -> None:
    docs = rows(shared_data / "math/test.jsonl.gz")
    recorded = rows(shared_reference / "verdicts/minerva_math_samples.jsonl.gz")
    assert len(recorded) == 272
    honest = 0
    for row in recorded:
        item, response = docs[row["doc_id"]], Response(text=row["response"])
        verdict = TASK.score(item, response)
        assert verdict.values == row["reference"]
        assert verdict.extracted == row["extracted"]
        assert TASK.gold(item) == row["gold"]
        honest += TASK.score_math_verify(item, response).values["math_verify"] == row["published"]
    # The publisher's flags are wrong on 10{,}000 and on eight times `4:30 \\text{ p.m.}`.
    assert honest == 263


def test_pairs_are_judged_as_the_reference_judges(
    shared_data: Path, shared_reference: Path
) -> None:
    docs = rows(shared_data / "math/test.jsonl.gz")
    recorded = rows(shared_reference / "verdicts/minerva_math_pairs.jsonl.gz")
    assert len(recorded) == 2680
    for row in recorded:
        verdict = TASK.score(docs[row["doc_id"]], Response(text=row["response"]))
        assert verdict.values == row["verdict"], row["response"]
        assert verdict.extracted == row["extracted"]


def test_golds_are_judged_as_the_reference_judges(
    shared_data: Path, shared_reference: Path
) -> None:
    docs = rows(shared_data / "math/test.jsonl.gz")
    recorded = rows(shared_reference / "verdicts/minerva_math_golds.jsonl.gz")
    assert len(recorded) == 1667
    for row in recorded:
        item = docs[row["doc_id"]]
        assert TASK.gold(item) == row["gold"]
        assert protocol(item, CLOSED.format(f"${row['gold_raw']}$")) == row["self_minerva"]


def test_verify_cases_are_judged_as_the_reference_judges(
    shared_reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = rows(shared_reference / "verdicts/minerva_math_verify_cases.jsonl.gz")
    assert len(recorded) == 90
    # Their golds are plain text, not solutions with a box.
    monkeypatch.setattr(TASK, "gold", lambda row: minerva.normalized(row["gold_raw"]))
    for row in recorded:
        predicted = row["prediction"]
        rendered = {
            "minerva": CLOSED.format(predicted),
            "raw": predicted,
            "boxed": "$\\boxed{" + predicted.replace("$", "") + "}$",
        }
        assert TASK.gold(row) == row["gold"]
        for name, text in rendered.items():
            verdict = TASK.score(row, Response(text=text))
            assert verdict.extracted == row[name]["extracted"]
            assert verdict.values == row[name]["verdict"], (row["gold"], text)


# The oracle


def check_oracle(items: list[dict[str, Any]]) -> None:
    for item in items:
        right = TASK.perfect_response(item).text
        assert values(item, right) == TASK.perfect_values(item), TASK.gold(item)
        wrong = TASK.perfect_response(item, corrupt=True).text
        assert set(values(item, wrong).values()) == {0.0}, TASK.gold(item)


def test_oracle_over_the_demo_data() -> None:
    assert len(demo_docs()) >= 28
    assert len({TASK.subtask(item) for item in demo_docs()}) == 7
    check_oracle(demo_docs())


def test_oracle_over_a_part_of_the_data(shared_data: Path) -> None:
    check_oracle(rows(shared_data / "math/test.jsonl.gz")[::20])


@pytest.mark.slow
def test_oracle_over_the_whole_data(shared_data: Path) -> None:
    docs = rows(shared_data / "math/test.jsonl.gz")
    check_oracle(docs)
    unreadable = sum(TASK.perfect_values(item)["exact_match"] == 0 for item in docs)
    # The reference counts 264: one gold has a line break, which its closing line cannot have.
    assert unreadable == 263


def test_the_solutions_of_the_demo_data_are_right() -> None:
    for item in demo_docs():
        found = values(item, item["solution"])
        assert found["exact_match_flex"] == found["math_verify"] == 1.0


# Known faults of the protocol, fault by fault (docs/math-agreement.md): gold, response, then
# exact_match, exact_match_flex and math_verify.
@pytest.mark.parametrize(
    ("gold", "text", "exact", "flex", "honest"),
    [
        ("5", r"\boxed{5}", 0, 1, 1),
        ("(4,5)", CLOSED.format("$(4,5)$"), 0, 1, 1),
        ("1,-3", CLOSED.format("$1$"), 1, 1, 0),
        ("2,-3,4", CLOSED.format("$2,-3$"), 1, 1, 0),
        ("2112_6", CLOSED.format("$2112_6+1$"), 1, 1, 0),
        ("2112_6", CLOSED.format("$2112_5$"), 1, 1, 0),
        ("4x-5y=-50", CLOSED.format("$-4x-5y=-50$"), 1, 1, 0),
        ("(4,5)", CLOSED.format(r"$\left(4,5\right)$"), 0, 0, 1),
        ("5", CLOSED.format(r"$5^\circ$"), 1, 1, 1),
        ("3", r"\boxed{3\%}", 0, 1, 1),
        (r"\frac{11}{7}", r"$\boxed{\frac{11}{7}\%}$", 0, 1, 0),
        (r"\text{a fish}", r"\boxed{\text{fish}}", 0, 1, 0),
        (r"\frac12", r"\fbox{\frac12}", 0, 0, 1),
        ("93", r"\boxed{93.}", 0, 0, 1),
        (r"2\sqrt2", r"\boxed{2\sqrt{2}} " + CLOSED.format("$12345$"), 0, 1, 0),
        (r"2\sqrt2", r"\boxed{12345} " + CLOSED.format(r"$\sqrt8$"), 1, 1, 1),
        (r"2\sqrt2", CLOSED.format(r"$\sqrt8$") + r" \boxed{12345}", 1, 1, 0),
        ("12", CLOSED.format("$9^{9^{9^9}}$"), 0, 0, 0),
        # What users of other harnesses found (peers: identical strings, truncated answers).
        (r"\text{Tom}", r"\boxed{\text{To", 0, 0, 0),
        (r"x\in[-2,7]", r"\boxed{x\in[-2,7]}", 0, 1, 1),
        ("34", "The largest is 34.", 0, 0, 1),
        ("1000", r"$1,000$", 0, 1, 1),
    ],
)
def test_known_faults(gold: str, text: str, exact: int, flex: int, honest: int) -> None:
    expected = {"exact_match": exact, "exact_match_flex": flex, "math_verify": honest}
    assert values(doc(gold), text) == expected


def test_extracted_and_unparsed() -> None:
    both = TASK.score(doc("5"), Response(text=r"\boxed{6} " + CLOSED.format("$7$")))
    assert both.extracted == ["7", "6"]
    assert not both.unparsed
    neither = TASK.score(doc("5"), Response(text="I think $5$ or $6$ it is"))
    assert neither.extracted == ["6"]
    assert neither.unparsed
    assert TASK.score(doc("5"), Response(text="")).extracted == [""]


HOSTILE = {
    "power tower": "9**9**9**9",
    "boxed tower": r"\boxed{9^{9^{9^{9}}}}",
    "code": "__import__('os').system('x')",
    "brackets": "[" * 1_000_000,
    "braces": r"\boxed{" * 100_000,
    "closing line": minerva.LINE * 30_000,
    "NUL": "\0",
    "lone surrogate": "\ud800 $5$ \\boxed{\udfff}",
    "digits": "9" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged(name: str) -> None:
    assert set(values(doc(r"\frac{7}{3}"), HOSTILE[name]).values()) == {0.0}
