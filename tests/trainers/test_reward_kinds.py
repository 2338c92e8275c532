"""Rewards from Python functions and from a judge: limits, thoughts apart, faults that cost a prompt."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.data.training_rows import rlvr_row
from olmes.trainers.rewards.settings import RewardFunction, RewardJudge
from olmes.trainers.rewards.trial import tried
from olmes.trainers.rewards.verifiers import VerifierRewards

OWN = Path(__file__).parent / "files/own_rewards.py"
ECHO = Path(__file__).parents[1] / "olmes/files/echo_task.py"
ASKED = [{"role": "user", "content": "3 + 4?"}]


def row(*verifiers: dict[str, Any], asked: str = "3 + 4?") -> dict[str, Any]:
    """A row as the mixture gives it."""
    return dict(rlvr_row({"messages": asked, "verifiers": list(verifiers)}, OWN.parent))


def asked_by(row: Mapping[str, Any]) -> str:
    return str(row["prompt"][0]["content"])


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"function": f"own_rewards.py:{name}", **more}


def test_a_rows_function_gets_prompt_answer_and_its_own_document() -> None:
    rows = [row(named("shortness", doc={"limit": limit}, weight=2.0)) for limit in (4, 8)]
    with VerifierRewards(rows, scoring_processes=1) as rewards:
        found = rewards.score(rows, ["ab", "ab"])
    assert found.rewards == [1.0, 1.5]
    assert found.by_task == {"shortness": 0.625}


def test_a_recipes_function_rewards_every_row_beside_its_own_verifiers() -> None:
    functions = {
        f"{OWN}:everything": RewardFunction(weight=0.5),
        f"{OWN}:shortness": RewardFunction(weight=10.0, every_row=False),
    }
    echo = {"task": str(ECHO), "doc": {"word": "ab"}}
    rows = [row(echo), row(echo, named("shortness", doc={}))]
    with VerifierRewards(rows, functions=functions, scoring_processes=1) as rewards:
        found = rewards.score(rows, ["ab", "abc"])
        assert rewards.known.best(rows[1]) == 1 + 10 + 0.5
    assert found.rewards == [1 + 0.5, 0 + 10 * 0.5 + 0.5 * 2]


def test_a_function_named_by_recipe_and_row_is_called_once() -> None:
    functions = {f"{OWN}:shortness": RewardFunction(weight=3.0)}
    rows = [row(named("shortness", doc={"limit": 4}))]
    with VerifierRewards(rows, functions=functions, scoring_processes=1) as rewards:
        assert rewards.score(rows, ["ab"]).rewards == [3.0 * 0.5]


def test_a_thought_is_not_rewarded_as_an_answer_by_functions_either() -> None:
    rows = [row(named("seen"))] * 3 + [row(named("shortness"))]
    texts = ["<think>is it 7?</think>7", "<think>7</think>is it 7?", "<think>7", "<think>"]
    with VerifierRewards(rows, scoring_processes=1) as rewards:
        found = rewards.score(rows, texts)
    assert found.rewards == [1.0, 0.0, 0.0, 0.0]
    assert found.unfinished == 2


def test_hostile_calls_cost_their_own_reward_alone() -> None:
    texts = ["good", "hang", "memory", "raise", "exit", "text", "good"]
    functions = {f"{OWN}:hostile": RewardFunction(seconds=0.5, memory_gb=0.25, every_row=False)}
    rows = [row(named("hostile"))] * len(texts)
    said: list[str] = []
    with VerifierRewards(
        rows, functions=functions, scoring_processes=1, say=said.append
    ) as rewards:
        found = rewards.score(rows, texts)
    assert found.rewards == [1.0, 0.0, 0.0, None, None, None, 1.0]
    assert (found.timeouts, found.crashes) == (2, 3)
    assert len(said) == 1


@pytest.mark.parametrize(
    ("verifier", "message"),
    [
        ({"function": "missing.py:score"}, "there is no file .*missing.py"),
        ({"function": "own_rewards.py"}, "write FILE.py:NAME"),
        ({"judge": "Is it polite?", "doc": {}}, "name one in the recipe"),
    ],
)
def test_what_cannot_reward_is_refused_with_a_remedy(
    verifier: dict[str, Any], message: str
) -> None:
    with pytest.raises(OlmesError, match=message):
        VerifierRewards([row(verifier)])


@pytest.mark.parametrize(
    ("verifiers", "message"),
    [
        ([{"task": "gsm8k"}], "has a 'task'"),
        ([{"task": "gsm8k", "function": "x.py:y", "doc": {}}], "has a 'task'"),
        ([{"function": "x.py:y", "limit": 3}], "has no 'limit'"),
        ([{"function": "x.py:y", "weight": "2"}], "'weight' of a verifier is a number"),
        (["gsm8k"], "an object with a 'task'"),
    ],
)
def test_a_verifier_of_another_shape_is_refused(verifiers: list[Any], message: str) -> None:
    with pytest.raises(OlmesError, match=message):
        rlvr_row({"messages": "?", "verifiers": verifiers})


@pytest.fixture
def judge() -> Iterator[tuple[str, list[str]]]:
    """The name of a judge behind OpenAI's protocol, and the questions it was asked.

    It stands for a language model: what it says follows from the answer it is shown.
    """
    says = {
        "good": "It is well put. Score: 8",
        "bad": "Score: 2? No.\n**Score:** 0",
        "forgot": "I like it.",
    }
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = body["messages"][0]["content"]
            asked.append(text)
            said = says.get(text.partition("<answer>\n")[2].partition("\n</answer>")[0])
            choice = {"index": 0, "message": {"role": "assistant", "content": said}}
            made = {"choices": [{**choice, "finish_reason": "stop"}], "model": "judge",
                    "usage": {"prompt_tokens": 9, "completion_tokens": 3}}  # fmt: skip
            sent = json.dumps(made if said else {"error": {"message": "too long"}}).encode()
            self.send_response(200 if said else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"openai:judge@http://127.0.0.1:{server.server_port}/v1", asked
        server.shutdown()


def test_a_judge_rewards_by_a_rubric_and_what_it_does_not_say_is_no_zero(
    judge: tuple[str, list[str]],
) -> None:
    model, asked = judge
    settings = RewardJudge(model=model, rubric="Is it kind?", weight=0.5, batch_size=1)
    own = {"judge": "Is it brief?", "doc": {"reference": "7"}}
    rows = [row(own), *[row({"task": str(ECHO), "doc": {"word": "good"}})] * 4]
    texts = ["<think>bad</think>good", "good", "bad", "forgot", "cut off"]
    said: list[str] = []
    with VerifierRewards(rows, judge=settings, scoring_processes=1, say=said.append) as rewards:
        found = rewards.score(rows, texts)
    assert found.rewards == [0.8 + 0.5 * 0.8, 1 + 0.5 * 0.8, 0.0, None, None]
    assert found.crashes == 2
    assert any("no score from 0 to 10" in line for line in said)
    assert all("bad" not in text for text in asked if "Is it brief?" in text)  # the thought
    assert "<reference>\n7\n" in asked[0]
    assert "user: 3 + 4?" in asked[0]


@pytest.mark.slow  # it is asked several times before it is given up
def test_a_judge_that_does_not_answer_is_refused_before_training() -> None:
    from datasets import Dataset

    rows = [row({"judge": "Is it kind?"})]
    away = RewardJudge(model="openai:judge@http://127.0.0.1:9/v1")
    with (
        VerifierRewards(rows, judge=away, scoring_processes=1) as rewards,
        pytest.raises(OlmesError, match="the judge gave no judgement: nothing answers at"),
    ):
        tried(Dataset.from_list(rows), rewards, where=lambda _: "", say=print)


def test_a_row_whose_scorer_crashes_is_named_and_left_out_before_training() -> None:
    from datasets import Dataset

    rows = [
        row({"task": str(ECHO), "doc": {"word": "a"} if n != 3 else {"wrod": "a"}}, asked=f"{n}")
        for n in range(8)
    ]
    said: list[str] = []
    with VerifierRewards(rows, scoring_processes=1) as rewards:
        data = Dataset.from_list(rows)
        kept = tried(data, rewards, where=lambda found: f"row {asked_by(found)}", say=said.append)
    assert [asked_by(one) for one in kept] == list("0124567")
    [line] = said
    assert line.startswith("1 of 8 rows left out")
    assert "row 3 (echo: score: KeyError: 'word'" in line


def test_a_scorer_that_fails_for_all_rows_is_refused_and_named() -> None:
    from datasets import Dataset

    rows = [row(named("picky", doc={"n": n}), asked=str(n)) for n in range(3)]
    with (
        VerifierRewards(rows, scoring_processes=1) as rewards,
        pytest.raises(OlmesError, match="the scorer of picky crashes on an empty answer, whatever"),
    ):
        tried(Dataset.from_list(rows), rewards, where=lambda _: "", say=print)


def test_of_very_many_rows_every_shape_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    from olmes.trainers.rewards import trial

    monkeypatch.setattr(trial, "MOST", 10)
    docs = [{"word": str(n)} if n != 77 else {"other": 1} for n in range(100)]
    rows = [row({"task": str(ECHO), "doc": doc}, asked=str(n)) for n, doc in enumerate(docs)]
    with VerifierRewards(rows, scoring_processes=1) as rewards:
        faults = trial.find_faults(rows, rewards, lambda _: "")
    assert [fault.row for fault in faults] == [77]


def test_recipes_name_functions_from_where_they_lie(workshop: Any) -> None:
    recipe = workshop.recipe(
        "rlvr",
        reward_functions={"mine.py:score": {"weight": 0.5, "seconds": 2}},
        judge={"model": "openai:x@http://localhost:1", "rubric": "Is it kind?"},
    )
    assert recipe.reward_functions == {
        f"{workshop.folder}/mine.py:score": RewardFunction(weight=0.5, seconds=2.0)
    }
    assert recipe.judge.rubric == "Is it kind?"
    with pytest.raises(OlmesError, match="seconds is 0"):
        workshop.recipe("rlvr", reward_functions={"mine.py:score": {"seconds": 0}})
    assert json.loads(row(named("seen"))["verifiers"])[0]["function"] == f"{OWN}:seen"
