"""`olmes synth preferences` as a user runs it, on a scripted server: a pool and a panel of three."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.synthesis.preferences.gold import read_gold
from tests.olmes.synthesis.preferences.scripted import WORTH, ScriptedPanel, write_recipe

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def panel() -> Iterator[ScriptedPanel]:
    """A server that counts what it is asked."""
    one = ScriptedPanel()
    yield one
    one.server.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a shell with a response cache of its own."""
    own = {"OLMES_CACHE": str(tmp_path / "cache"), "OLMES_OFFLINE": "1", "COLUMNS": "120"}
    return {**os.environ, **own}


@pytest.fixture
def synth(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run `olmes synth preferences ARGUMENTS` in a process of its own."""

    def call(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(*arguments), capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return call


def command(*arguments: object) -> list[str]:
    """The words of the command."""
    return [sys.executable, "-m", "olmes", "synth", "preferences", *map(str, arguments)]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_from_prompts_to_pairs_and_what_is_known_of_them(
    tmp_path: Path, panel: ScriptedPanel, synth: Run
) -> None:
    recipe = write_recipe(tmp_path, panel)
    printed = synth(recipe, "--out", tmp_path / "out").stdout
    for title in (
        "Agreement between judges",
        "Position bias",
        "Length",
        "Who wrote what is chosen",
    ):
        assert title in printed
    told = json.loads((tmp_path / "out/preferences.json").read_text())
    measures = told["measures"]

    # 20 prompts with 4 answers each, an on-policy one in half of them; one call an aspect.
    assert told["counts"]["answers"] == 80
    assert panel.asked["own"] == 10
    assert sum(panel.asked[name] for name in WORTH) == 80
    assert all(panel.asked[judge] == 20 * 4 for judge in ("fair", "fair-too", "first"))

    pairs = rows(tmp_path / "out/preferences.jsonl")
    ratings = {row["id"]: row for row in rows(tmp_path / "out/ratings.jsonl")}
    assert told["counts"]["pairs"] == len(pairs) >= 18
    for pair in pairs:
        texts = {one["text"]: one for one in ratings[pair["id"]]["responses"]}
        means = {
            text: sum(numbers) / len(numbers)
            for text, one in texts.items()
            if (numbers := [r["rating"] for r in one["ratings"] if r["rating"] != "N/A"])
        }
        assert means[pair["chosen"]] == pytest.approx(max(means.values()), abs=1e-6)
        assert means[pair["rejected"]] < max(means.values())
        assert pair["chosen_rating"] == pytest.approx(means[pair["chosen"]], abs=1e-6)
        assert pair["rejected_rating"] == pytest.approx(means[pair["rejected"]], abs=1e-6)
        assert pair["judges"] == ["fair", "fair-too", "first"]
    # Honesty of a poem does not apply, in a fifth of the prompts.
    poem = next(row for row in ratings.values() if "a poem" in row["prompt"])
    said = [r for r in poem["responses"][0]["ratings"] if r["aspect"] == "honesty"]
    assert [r["rating"] for r in said[:2]] == ["N/A", "N/A"]

    alphas = measures["alphas"]
    assert set(alphas) == {
        "instruction-following", "helpfulness", "honesty", "truthfulness", "all aspects",
        "mean rating",
    }  # fmt: skip
    assert all(0.4 < one["value"] < 1 and one["ci_low"] < one["value"] for one in alphas.values())
    biases = {name: judge["position"] for name, judge in measures["judges"].items()}
    assert biases["first"]["p_adjusted"] < 0.05
    assert biases["first"]["places"][0]["value"] > 1
    assert biases["fair"]["p_value"] > 0.05
    assert biases["fair-too"]["p_value"] > 0.05
    assert "first rates by the place" in printed.replace("\n", " ")
    wins = {name: one["wins"]["value"] for name, one in measures["writers"].items()}
    assert wins["strong"] > wins["weak"]
    for name in ("card.json", "card.md", "card.html"):
        assert (tmp_path / "out" / name).stat().st_size > 500

    # The same command again asks nothing and writes the same bytes, and so does another folder.
    asked = panel.asked.total()
    before = (tmp_path / "out/preferences.jsonl").read_bytes()
    synth(recipe, "--out", tmp_path / "out")
    synth(recipe, "--out", tmp_path / "other")
    assert panel.asked.total() == asked
    assert (tmp_path / "out/preferences.jsonl").read_bytes() == before
    assert (tmp_path / "other/preferences.jsonl").read_bytes() == before


def test_killed_at_any_point_it_goes_on_and_pays_nothing_twice(
    tmp_path: Path, panel: ScriptedPanel, synth: Run, environment: dict[str, str]
) -> None:
    recipe = write_recipe(tmp_path, panel, prompts=10)
    # 40 answers and 120 judgements; killed within the answers, and twice within the judgements.
    panel.server.latency = 0.02
    arguments = command(
        recipe, "--out", tmp_path / "out", "--set", "pool.weak.batch_size=2", "--no-cache"
    )
    for stop in (15, 70, 130):
        started = subprocess.Popen(
            arguments, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 60
        while panel.asked.total() < stop and started.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        started.send_signal(signal.SIGKILL)
        started.communicate(timeout=30)
    panel.server.latency = 0.0
    synth(*arguments[5:])
    # What was on its way when a process was killed is asked again: a server's requests at once.
    assert 160 <= panel.asked.total() <= 160 + 3 * panel.server.most_at_once
    synth(recipe, "--out", tmp_path / "whole", "--set", "pool.weak.batch_size=2", "--no-cache")
    for name in ("preferences.jsonl", "ratings.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_budget_that_is_used_up_leaves_what_is_finished(
    tmp_path: Path, panel: ScriptedPanel, synth: Run
) -> None:
    recipe = write_recipe(tmp_path, panel, prompts=100)
    out = tmp_path / "out"
    stopped = synth(recipe, "--out", out, "--set", "budget.tokens=450000", status=1)
    told = json.loads((out / "preferences.json").read_text())
    finished = len(rows(out / "preferences.jsonl"))
    assert 30 < finished < 100
    assert told["counts"]["unfinished"] > 0
    assert "budget of 450,000 tokens is used up" in stopped.stderr.replace("\n", " ")
    spent = sum(
        one["prompt_tokens"] + one["completion_tokens"]
        for one in {
            m["fingerprint"]: m for m in (*told["models"].values(), *told["judges"].values())
        }.values()
    )
    assert spent <= 450_000
    before = panel.asked.total()
    synth(recipe, "--out", out)
    assert len(rows(out / "ratings.jsonl")) == 100
    assert panel.asked.total() == 100 * 4 + 100 * 4 * 3
    assert panel.asked.total() > before


def test_thoughts_silence_and_second_questions(
    tmp_path: Path, panel: ScriptedPanel, synth: Run
) -> None:
    recipe = write_recipe(tmp_path, panel, prompts=8, judges=("thinking", "chatty", "silent"))
    synth(recipe, "--out", tmp_path / "out")
    told = json.loads((tmp_path / "out/preferences.json").read_text())
    counts = {name: judge["counts"] for name, judge in told["measures"]["judges"].items()}
    assert counts["thinking"]["unread"] == 0
    assert 0 < counts["chatty"]["again"] < 32
    assert counts["chatty"]["unread"] == 0
    # Asked twice, never read, and no rating is made up.
    assert (counts["silent"]["again"], counts["silent"]["unread"]) == (32, 128)
    assert panel.asked["silent"] == 64
    ratings = rows(tmp_path / "out/ratings.jsonl")
    said = [r for row in ratings for one in row["responses"] for r in one["ratings"]]
    assert {r["rating"] for r in said if r["judge"] == "silent"} == {None}
    # The thought says 5 of every text; the answer does not.
    assert {r["rating"] for r in said if r["judge"] == "thinking"} > {2, 3, 4}
    assert told["counts"]["pairs"] >= 6


def test_failures_leave_prompts_for_the_next_time(
    tmp_path: Path, panel: ScriptedPanel, synth: Run
) -> None:
    recipe = write_recipe(tmp_path, panel, prompts=6)
    panel.server.faults = lambda number, body: (
        "status 400" if body["model"] == "first" and number % 3 == 0 else ""
    )
    broken = synth(recipe, "--out", tmp_path / "out", status=1)
    assert "the same command asks them again" in broken.stderr.replace("\n", " ")
    assert len(rows(tmp_path / "out/ratings.jsonl")) < 6
    panel.server.faults = lambda number, body: ""
    synth(recipe, "--out", tmp_path / "out")
    assert len(rows(tmp_path / "out/ratings.jsonl")) == 6


def test_humans_beside_the_judges(tmp_path: Path, panel: ScriptedPanel, synth: Run) -> None:
    recipe = write_recipe(tmp_path, panel, prompts=4, judges=("fair", "silent"))
    gold: list[dict[str, Any]] = [
        {
            "prompt": f"Question {at}?",
            "chosen": "Good. [worth 4.4]",
            "rejected": "Bad, and longer. [worth 2.1]",
        }
        for at in range(10)
    ]
    gold += [
        {
            "instruction": "Compare.",
            "output_1": f"A {at} [worth 2.0]",
            "output_2": f"B {at} [worth 4.0]",
            "preference": 1,
        }
        for at in range(5)
    ]
    gold.append(
        {
            "prompt": "?",
            "responses": ["x [worth 1]", "y [worth 3]", "z [worth 5]"],
            "ratings": [1, 2, 3],
        }
    )
    gold.append(
        {
            "prompt": "?",
            "response_a": "p [worth 3]",
            "response_b": "q [worth 5]",
            "preference": "tie",
        }
    )
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold))
    printed = synth(recipe, "--out", tmp_path / "out", "--gold", tmp_path / "gold.jsonl").stdout
    assert "Agreement with humans" in printed
    told = json.loads((tmp_path / "out/preferences.json").read_text())["measures"]
    fair = told["judges"]["fair"]["gold"]
    # 10 right, 5 wrong, 3 right; a tie of the humans is none of these.
    assert fair["accuracy"]["n"] == 18
    assert fair["accuracy"]["value"] == pytest.approx(13 / 18)
    assert fair["accuracy"]["ci_low"] < 13 / 18 < fair["accuracy"]["ci_high"]
    assert fair["kappa"]["n"] == 38
    assert 0 < fair["kappa"]["value"] < 1
    assert fair["longer"]["value"] == 0
    assert told["gold"]["accuracy"]["value"] == pytest.approx(13 / 18)
    assert told["judges"]["silent"]["gold"]["accuracy"] is None
    assert told["judges"]["silent"]["gold"]["unrated"] == 19


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "?", "chosen": "a"}, "give 'chosen' and 'rejected'"),
        ({"chosen": "a", "rejected": "b"}, "nothing is asked"),
        ({"prompt": "?", "chosen": "a", "rejected": "a"}, "all the same"),
        ({"prompt": "?", "responses": ["a", "b"], "ratings": [1]}, "one for each"),
        ({"prompt": "?", "responses": ["a", "b"], "ratings": [1, None]}, "one for each"),
        ({"prompt": "?", "responses": ["a", "b"], "preference": 3}, "must be 1 or 2"),
        ({"prompt": "?", "responses": ["a", "b", "c"], "preference": 1}, "more than two"),
        (["no", "object"], "an object"),
    ],
)
def test_a_file_of_preferences_that_is_not_one(tmp_path: Path, row: Any, said: str) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(
        json.dumps({"prompt": "?", "chosen": "a", "rejected": "b"}) + "\n" + json.dumps(row)
    )
    with pytest.raises(OlmesError, match="line 2 of") as caught:
        read_gold(path)
    assert said in str(caught.value)


def test_prompts_that_overlap_with_an_evaluation_are_never_asked(
    tmp_path: Path, panel: ScriptedPanel, synth: Run
) -> None:
    from olmes.benchmark.registry import load_task
    from olmes.data.resolve import resolve

    recipe = write_recipe(tmp_path, panel, prompts=4)
    task = load_task("gsm8k")
    item = next(iter(resolve(task, None, say=print).instances))
    with (tmp_path / "prompts.jsonl").open("a") as stream:
        stream.write(json.dumps({"prompt": item.doc["question"].upper()}) + "\n")
    synth(recipe, "--out", tmp_path / "out", "--set", 'decontamination.against=["gsm8k"]')
    told = json.loads((tmp_path / "out/preferences.json").read_text())
    assert told["counts"]["overlapping"] == 1
    assert told["overlap"]["against"][0]["removed_prompts"] == 1
    assert told["overlap"]["against"][0]["overlapped"] == 0
    assert told["counts"]["answers"] == 16
