"""Rewards: equal to the tasks' own scorers, whatever a response is, in killable processes."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from olmes.benchmark.registry import load_task
from olmes.errors import OlmesError
from olmes.reasoning import Reader, parse_marks
from olmes.trainers.rewards import verifiers as scoring
from olmes.trainers.rewards.verifiers import VerifierRewards, distinct_ngrams, honest_metric
from olmes.types import Response

ECHO = Path(__file__).parents[1] / "olmes/files/echo_task.py"


HONEST = {
    "gsm8k": "exact_match_numeric",
    "ifeval": "prompt_level_strict_stated",
    "math": "math_verify",
}


def row(*verifiers: dict[str, Any]) -> dict[str, Any]:
    return {"verifiers": json.dumps(list(verifiers))}


def values(task: Any, doc: Any, response: Response) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for scorer in task.scorers:
        found |= getattr(task, scorer)(doc, response).values
    return found


def test_rewards_are_what_evaluation_would_say() -> None:
    """Every item of three samples, answered right and wrong, by the honest metrics."""
    from olmes.tools import jsonl

    rows, texts, wanted = [], [], []
    for name in ("gsm8k", "ifeval", "math"):
        task = load_task(name)
        sample = list(jsonl.read(Path(__file__).parents[2] / f"tasks/demo/{name}.jsonl"))[:6]
        for doc in sample:
            for corrupt in (False, True):
                response = task.perfect_response(doc, corrupt=corrupt)
                rows.append(row({"task": name, "doc": doc}))
                texts.append(response.text)
                wanted.append(values(task, doc, response)[HONEST[name]])
    with VerifierRewards(rows, scoring_processes=1) as rewards:
        found = rewards.score(rows, texts)
    assert found.rewards == wanted
    assert 0 < sum(wanted) < len(wanted)
    assert set(found.by_task) == {"gsm8k", "ifeval", "math"}
    assert (found.timeouts, found.crashes) == (0, 0)


def test_the_recipe_says_which_metric_rewards_and_a_row_overrules_it() -> None:
    """The last number counts to the protocol; to the honest metric the one that is stated."""
    doc = {"question": "", "answer": "#### 3"}
    plain = row({"task": "gsm8k", "doc": doc})
    named = row({"task": "gsm8k", "doc": doc, "metric": "exact_match_numeric"})
    text = "The answer is 4. I checked it 3"
    for metrics, wanted in ((None, [0.0, 0.0]), ({"gsm8k": "exact_match"}, [1.0, 0.0])):
        with VerifierRewards([plain, named], metrics=metrics, scoring_processes=1) as rewards:
            assert rewards.score([plain, named], [text] * 2).rewards == wanted


def test_a_task_without_an_honest_metric_is_rewarded_by_its_primary_one() -> None:
    assert honest_metric(load_task("ifeval_ood_fresh")) == "prompt_level_loose"
    assert honest_metric(load_task("ifeval")) == HONEST["ifeval"]


def test_the_answer_behind_a_thought_is_rewarded_and_a_thought_that_never_ended_is_not() -> None:
    plain = row({"task": "gsm8k", "doc": {"question": "", "answer": "#### 3"}})
    protocol = row(
        {"task": "gsm8k", "doc": {"question": "", "answer": "#### 3"}, "metric": "exact_match"}
    )
    texts = {
        "<think>Is it 4?</think>\n\nThe answer is 3.": 1.0,
        "<think>The answer is 3.</think> The answer is 4.": 0.0,
        "<think>The answer is 3.": 0.0,
        "The answer is 3.": 1.0,
    }
    rows = [one for one in (plain, protocol) for _ in texts]
    with VerifierRewards(rows, scoring_processes=1) as rewards:
        found = rewards.score(rows, [*texts] * 2, [True] * len(rows))
        assert found.rewards == [*texts.values()] * 2
        assert found.unfinished == 2
    # A model whose prompt opens the thought.
    opened = Reader(parse_marks("think"), known=True, opened=True)
    inside = ["The answer is 3.", "Is it 4?</think>The answer is 3."]
    with VerifierRewards([plain] * 2, scoring_processes=1, reader=opened) as rewards:
        found = rewards.score([plain] * 2, inside)
        assert (found.rewards, found.unfinished) == ([0.0, 1.0], 1)


def test_several_verifiers_are_summed_with_their_weights() -> None:
    three = {"task": "gsm8k", "doc": {"question": "", "answer": "#### 3"}, "weight": 2.0}
    low = {"instruction_id_list": ["punctuation:no_comma", "change_case:english_lowercase"]}
    plain = {
        "task": "ifeval",
        "doc": {**low, "kwargs": [{}, {}]},
        "metric": "inst_level_strict",
        "weight": 0.5,
    }
    rows = [row(three, plain)] * 2
    with VerifierRewards(rows, scoring_processes=1) as rewards:
        # A metric over parts is the share of parts that are met: here one of two.
        found = rewards.score(rows, ["The answer Is 3", "The answer, Ada, is 4"])
    assert found.rewards == [2.0 + 0.25, 0.0]


def test_the_text_is_cut_at_the_tasks_stop_strings() -> None:
    rows = [row({"task": "gsm8k", "doc": {"question": "", "answer": "#### 3"}})]
    with VerifierRewards(rows, scoring_processes=1) as rewards:
        assert rewards.score(rows, ["It is 3.\nQuestion: What is 4 + 4?"]).rewards == [1.0]
        assert rewards.response("gsm8k", "It is 3. Question: x", False).finish == "stop"
        assert rewards.response("gsm8k", "It is 3", False).finish == "length"


def test_hostile_responses_cost_their_own_reward_alone() -> None:
    """The task's scorer does what the response says: hang, die, fill the memory, raise."""
    texts = ["right", "hang", "exit", "memory", "right", "raise", "wrong"]
    rows = [row({"task": str(ECHO), "doc": {"word": "right"}})] * len(texts)
    said: list[str] = []
    with VerifierRewards(rows, scoring_processes=1, say=said.append) as rewards:
        began = time.monotonic()
        found = rewards.score(rows, texts)
        assert time.monotonic() - began < 30
    # A crash is no zero, and no other number either: nothing is to be learned from it.
    assert found.rewards == [1.0, 0.0, None, 0.0, 1.0, None, 0.0]
    assert (found.timeouts, found.crashes) == (2, 2)
    assert len(said) == 1
    assert "a scorer of echo failed" in said[0]


def test_it_works_outside_the_main_thread() -> None:
    """Verifiers that use signals give 0 there: sqrt(8) is 2 sqrt(2) only to one that does not."""
    doc = {"problem": "", "level": "", "type": "", "solution": r"\boxed{\sqrt{8}}"}
    rows = [row({"task": "math", "doc": doc})]
    found: list[Any] = []
    with VerifierRewards(rows, scoring_processes=1) as rewards:
        thread = threading.Thread(
            target=lambda: found.append(rewards.score(rows, [r"It is $\boxed{2\sqrt{2}}$."]))
        )
        thread.start()
        thread.join()
    assert found[0].rewards == [1.0]


def test_faults_of_the_data_are_refused_before_training() -> None:
    with pytest.raises(OlmesError, match="there is no task 'none'"):
        VerifierRewards([row({"task": "none", "doc": {}})])
    with pytest.raises(OlmesError, match="has no metric 'x'"):
        VerifierRewards([row({"task": "gsm8k", "doc": {}, "metric": "x"})])
    gsm8k = [row({"task": "gsm8k", "doc": {}})]
    with pytest.raises(OlmesError, match="has no metric 'x'"):
        VerifierRewards(gsm8k, metrics={"gsm8k": "x"})
    with pytest.raises(OlmesError, match="reward_metrics names 'gsm9k', but there is no such task"):
        VerifierRewards(gsm8k, metrics={"gsm9k": "exact_match"})
    with pytest.raises(OlmesError, match="needs a judge"):
        VerifierRewards([row({"task": "href", "doc": {}})])
    with pytest.raises(OlmesError, match="mmlu_mc weighs given answers"):
        VerifierRewards([row({"task": "mmlu_mc", "doc": {}})])


def test_a_training_ends_when_nothing_can_be_scored_any_more_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scoring, "PATIENCE", 3)
    monkeypatch.setattr(scoring, "FEWEST", 4)
    rows = [row({"task": str(ECHO), "doc": {"word": word}}) for word in ("a", "b")]
    said: list[str] = []
    with VerifierRewards(
        rows, scoring_processes=1, where=lambda _: "x.jsonl, row 6", say=said.append
    ) as rewards:
        # A process that has one completion at a time of a bad row goes on ...
        for _ in range(3):
            assert rewards.score(rows[:1], ["raise"]).rewards == [None]
        assert rewards.score(rows, ["a", "raise"]).rewards == [1.0, None]
        # ... and one of whose batches nothing is scored time and again does not.
        for _ in range(2):
            rewards.score(rows, ["raise", "raise"])
        with pytest.raises(OlmesError, match="none of the last 6 responses could be scored"):
            rewards.score(rows, ["raise", "raise"])
    assert len(said) == 2  # once a row
    assert "a scorer of echo failed on x.jsonl, row 6" in said[0]
    assert "ValueError: a fault" in said[0]


def test_distinct_ngrams() -> None:
    assert distinct_ngrams(["a b c d"]) == 1.0
    assert distinct_ngrams(["a a a a a"]) == pytest.approx(1 / 3)
    assert distinct_ngrams(["a b c", "a b c"]) == 0.5
    assert distinct_ngrams(["a b"]) == 1.0
