"""Mixtures: how much of what, always the same, and rows of a wrong shape refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from olmes.benchmark.registry import load_task
from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.trainers.data.mixture import draw, load_mixture
from olmes.trainers.data.published_rlvr import NotExpressibleError, from_published
from olmes.trainers.data.training_rows import dpo_row, rewarded_constraints, rlvr_row, sft_row
from olmes.trainers.recipes.files import make_recipe
from olmes.trainers.recipes.stages import Stage
from olmes.types import Response


def mix(folder: Path, data: dict[str, Any], stage: Stage = "sft", **more: Any) -> Any:
    recipe = make_recipe(stage, {"data": data, **more}, str(folder / "recipe.toml"))
    return load_mixture(recipe, say=lambda _: None)


def write_chats(path: Path, count: int, word: str = "w") -> None:
    rows = (
        {
            "messages": [
                {"role": "user", "content": f"{word}{i}"},
                {"role": "assistant", "content": "yes"},
            ],
            "extra": i if i % 2 else None,
        }
        for i in range(count)
    )
    jsonl.write(path, rows)


def asked(mixture: Any) -> list[str]:
    return [row["messages"][0]["content"] for row in mixture.rows]


def test_fraction_and_count_and_weight(tmp_path: Path) -> None:
    write_chats(tmp_path / "a.jsonl", 10, "a")
    write_chats(tmp_path / "b.jsonl", 4, "b")
    data = {"a.jsonl": {"fraction": 0.3}, "b.jsonl": {"count": 1}}
    found = Counter(text[0] for text in asked(mix(tmp_path, data)))
    assert found == {"a": 3, "b": 1}
    data = {"a.jsonl": {"weight": 3}, "b.jsonl": {"weight": 1}}
    found = Counter(text[0] for text in asked(mix(tmp_path, data, rows=8)))
    assert found == {"a": 6, "b": 2}


def test_more_than_all_repeats_no_row_twice_more_than_another() -> None:
    found = Counter(draw(10, 25, seed=1))
    assert sum(found.values()) == 25
    assert set(found.values()) == {2, 3}
    assert draw(10, 25, seed=1) != draw(10, 25, seed=2)


def test_the_mixture_is_the_same_every_time_and_its_hash_covers_rows_and_order(
    tmp_path: Path,
) -> None:
    write_chats(tmp_path / "a.jsonl", 20)
    data = {"a.jsonl": {"fraction": 0.5}}
    first, again = mix(tmp_path, data), mix(tmp_path, data)
    assert asked(first) == asked(again)
    assert first.hash == again.hash
    assert mix(tmp_path, data, seed=1).hash != first.hash
    assert mix(tmp_path, {"a.jsonl": {"fraction": 0.5, "seed": 1}}).hash != first.hash
    told = first.to_json()
    assert told["parts"][0]["rows"] == 10
    assert told["parts"][0]["of"] == 20


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "x"}, "has 'messages'"),
        ({"messages": []}, "list of turns"),
        ({"messages": [{"role": "user", "content": 3}]}, "list of turns"),
        ({"messages": [{"role": "user", "content": "x"}]}, "nothing could be learned"),
        ([1], "JSON object"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, row: Any, words: str) -> None:
    write_chats(tmp_path / "a.jsonl", 2)
    with (tmp_path / "a.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    with pytest.raises(OlmesError, match=words) as refused:
        mix(tmp_path, {"a.jsonl": {"fraction": 1.0}})
    assert "a.jsonl, row 3" in str(refused.value)


def test_sources_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match="there is no file"):
        mix(tmp_path, {"none.jsonl": {"count": 1}})
    with pytest.raises(OlmesError, match="small-sft"):
        mix(tmp_path, {"none": {"count": 1}})


def test_a_hub_set_out_of_reach_is_one_sentence(tmp_path: Path) -> None:
    """The suite runs with HF_HUB_OFFLINE=1, which the hub's library reports as it does a real gap."""
    with pytest.raises(OlmesError, match=r"cannot be fetched from the hub \("):
        mix(tmp_path, {"nobody/nothing": {"count": 1}})


def test_preferences_in_either_shape() -> None:
    turns = [{"role": "user", "content": "q"}]
    good, bad = ({"role": "assistant", "content": text} for text in ("good", "bad"))
    wanted = {"prompt": turns, "chosen": [good], "rejected": [bad], "more": ""}
    asked = {"chosen": "good", "rejected": "bad"}
    whole = {"chosen": [*turns, good], "rejected": [*turns, bad], "prompt": "q"}
    share_gpt = {
        "conversations": [{"from": "human", "value": "q"}],
        "chosen": {"from": "gpt", "value": "good"},
        "rejected": {"from": "gpt", "value": "bad"},
    }
    for row in ({"prompt": "q", **asked}, {"question": "q", **asked}, whole, share_gpt):
        assert dict(dpo_row(row)) == wanted
    other = [{"role": "user", "content": "p"}, bad]
    with pytest.raises(OlmesError, match="equal but for their last turn"):
        dpo_row({"chosen": [*turns, good], "rejected": other})


def test_a_verifiers_row_asks_as_the_benchmark_does_when_it_has_no_messages() -> None:
    doc = {"question": "How many?", "answer": "#### 3"}
    row = rlvr_row({"verifiers": [{"task": "gsm8k", "doc": doc}]})
    assert row["prompt"][-1]["content"].startswith("Question: How many?")
    assert json.loads(row["verifiers"])[0]["doc"] == doc
    with pytest.raises(OlmesError, match="no 'wieght'"):
        rlvr_row({"verifiers": [{"task": "gsm8k", "doc": doc, "wieght": 1}]})


def test_sft_rows_keep_roles_and_texts_alone() -> None:
    turns = [{"role": "user", "content": "q", "id": 1}, {"role": "assistant", "content": "a"}]
    assert dict(sft_row({"messages": turns, "id": 3})) == {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        "more": "",
    }


PUBLISHED = [
    (
        {"func_name": "validate_lowercase", "N": None},
        "there is a small house by the sea.",
        "There is a small house.",
    ),
    ({"func_name": "verify_keywords", "keyword_list": ["sea"]}, "the sea", "the lake"),
    ({"func_name": "verify_keyword_frequency", "word": "sea", "N": 2}, "sea sea", "sea sea sea"),
    (
        {"func_name": "validate_word_constraint", "N": 10, "quantifier": "around"},
        "a " * 11,
        "a " * 12,
    ),
    (
        {"func_name": "validate_word_constraint", "N": 3, "quantifier": "at most"},
        "a b c",
        "a b c d",
    ),
    ({"func_name": "validate_word_constraint", "N": 3, "quantifier": "at least"}, "a b c", "a b"),
    (
        {"func_name": "verify_sentence_constraint", "N": 3, "quantifier": "around"},
        "It is one. It is two.",
        "It is one.",
    ),
    ({"func_name": "validate_end", "end_phrase": "The end."}, "So. The end.", "The end. So"),
    ({"func_name": "verify_bullet_points", "N": 2}, "* a\n* b", "* a"),
]


@pytest.mark.parametrize(("truth", "good", "bad"), PUBLISHED)
def test_published_constraints_are_judged_by_ifevals_checks(
    truth: dict[str, Any], good: str, bad: str
) -> None:
    row = {"messages": [], "dataset": "ifeval", "ground_truth": json.dumps(truth)}
    [verifier] = from_published(row)["verifiers"]
    task = load_task(verifier["task"])
    scores = [
        task.score(verifier["doc"], Response(text=text)).values["prompt_level_strict"]
        for text in (good, bad)
    ]
    assert scores == [1.0, 0.0]


def test_published_numbers_and_expressions() -> None:
    for kind, truth, good, bad in (
        ("gsm8k", "18", "So the answer is 18.", "19"),
        ("MATH", "\\frac{1}{2}", "$\\boxed{\\frac12}$", "$\\boxed{2}$"),
    ):
        row = {"messages": [], "dataset": kind, "ground_truth": truth}
        [verifier] = from_published(row)["verifiers"]
        task = load_task(verifier["task"])
        for text, wanted in ((good, 1.0), (bad, 0.0)):
            values: dict[str, Any] = {}
            for scorer in task.scorers:
                values |= getattr(task, scorer)(verifier["doc"], Response(text=text)).values
            assert values[task.primary] == wanted, (kind, text)


def test_what_ifeval_cannot_express_is_left_out_and_counted(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "q"}]
    truths = [
        {"func_name": "validate_choice", "options": ["a"]},
        {"func_name": "validate_lowercase"},
    ]
    rows = [{"messages": chat, "dataset": "ifeval", "ground_truth": json.dumps(t)} for t in truths]
    jsonl.write(tmp_path / "p.jsonl", rows)
    mixture = mix(tmp_path, {"p.jsonl": {"fraction": 1.0}}, "rlvr")
    assert (len(mixture.rows), mixture.parts[0].left_out) == (1, 1)
    with pytest.raises(NotExpressibleError):
        from_published(rows[0])


def test_held_out_constraints_are_not_trained_on(tmp_path: Path) -> None:
    """Rows that reward one are left out, and counted by which."""
    said: list[str] = []
    held = ["punctuation:no_comma", "startend:quotation"]
    table = {"data": {"small-rlvr": {"fraction": 1.0}}, "held_out_constraints": held}
    recipe = make_recipe("rlvr", table, str(tmp_path / "recipe.toml"))
    found = load_mixture(recipe, say=said.append)
    whole = mix(tmp_path, {"small-rlvr": {"fraction": 1.0}}, "rlvr")
    asked = [rewarded_constraints(row) for row in whole.rows]
    lost = sum(bool(ids & set(held)) for ids in asked)
    assert lost > 0
    assert len(found.rows) == len(whole.rows) - lost
    assert not any(rewarded_constraints(row) & set(held) for row in found.rows)
    assert found.parts[0].left_out == lost
    assert "left out: they reward punctuation:no_comma, which is held out" in said[0]
