"""Formulations: what they hash, and what `--set` may change."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from olmes import OlmesError
from olmes.benchmark import registry
from olmes.requests.plan import draw_instances
from olmes.types import Instance

GSM8K = registry.load_task("gsm8k")


def test_a_changed_setting_changes_the_hash_and_is_not_standard() -> None:
    seen = {GSM8K.formulation_hash}
    for settings in (
        {"shots": "4"},
        {"generation.max_tokens": "64"},
        {"temperature": "0.7"},
        {"top_p": "0.9"},
        {"stop": "Question:|\n\n"},
        {"prefill": ""},
    ):
        changed = GSM8K.with_settings(settings)
        assert not changed.standard
        seen.add(changed.formulation_hash)
    assert len(seen) == 7
    assert GSM8K.standard


def test_setting_the_standard_value_stays_standard() -> None:
    same = GSM8K.with_settings({"shots": "8", "max_tokens": "512"})
    assert same.standard
    assert same.formulation_hash == GSM8K.formulation_hash


def test_fewer_shots_are_the_first_ones() -> None:
    doc = {"question": "How many?", "answer": "#### 1"}
    whole, half = GSM8K.request(doc), GSM8K.with_settings({"shots": "4"}).request(doc)
    assert half.messages == whole.messages[:8] + whole.messages[-1:]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shots": "nine"}, "does not fit the setting 'shots'"),
        ({"colour": "red"}, "there is no setting 'colour'; choose one of .*shots"),
        ({"aggregate": "median"}, "one of micro, macro"),
        ({"multiturn": "perhaps"}, "changing it would change nothing"),
        ({"max_tokens": 1.5}, "whole number"),
    ],
)
def test_a_bad_setting_is_one_clear_sentence(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(OlmesError, match=words):
        GSM8K.with_settings(settings)


def test_more_shots_than_exemplars_is_refused() -> None:
    with pytest.raises(OlmesError, match=r"8 exemplars.*shots to a number from 0 to 8"):
        GSM8K.with_settings({"shots": "9"}).request({"question": "", "answer": ""})


def test_a_limit_is_spread_over_subtasks_and_nested() -> None:
    instances = [
        Instance("t", i, {"i": i}, subtask=name)
        for name, size in (("a", 50), ("b", 5), ("c", 1))
        for i in range(size)
    ]
    kept = [draw_instances(instances, n) for n in (3, 6, 20, 56, 100)]
    assert {one.subtask for one in kept[0]} == {"a", "b", "c"}
    ids = [{one.id for one in some} for some in kept]
    assert all(small < large for small, large in itertools.pairwise(ids[:4]))
    assert kept[3] == kept[4] == instances
    assert kept[1] == sorted(kept[1], key=instances.index)


def test_a_limit_keeps_the_order_of_the_data() -> None:
    """Sub-tasks may alternate in the file; a record in another order would not be the file's."""
    instances = [Instance("t", i, {}, subtask="abc"[i % 3]) for i in range(60)]
    kept = [one.doc_id for one in draw_instances(instances, 20)]
    assert kept == sorted(kept)
    assert kept != list(range(20))


def test_a_pattern_that_does_not_compile_is_refused() -> None:
    with pytest.raises(OlmesError, match=r"'\(' is not a regular expression"):
        GSM8K.formulation.replaced({"extract": "a|("})


def test_a_truth_value_is_true_or_false() -> None:
    with pytest.raises(OlmesError, match="true or false"):
        GSM8K.formulation.replaced({"multiturn": "perhaps"})
