"""Scoring processes: whatever a response does to a scorer, the run goes on and says so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from olmes.benchmark.registry import load_task
from olmes.errors import OlmesError
from olmes.scoring.process.job import Outcome
from olmes.scoring.process.pool import WAITING, ScoringPool
from olmes.types import Response
from tests.known import known

ECHO = load_task(str(Path(__file__).parents[1] / "files/echo_task.py"))


def judge(texts: list[str], scoring_processes: int = 2) -> dict[str, dict[str, Outcome]]:
    found: dict[str, dict[str, Outcome]] = {text: {} for text in texts}
    with ScoringPool({"echo": ECHO}, scoring_processes) as pool:
        for text in texts:
            pool.submit(
                "echo",
                {"word": "word"},
                Response(text=text),
                found[text].__setitem__,
            )
        pool.join()
    return found


def test_right_and_wrong_responses() -> None:
    found = judge(["word", "other", ""])
    assert known(found["word"]["score"].verdict).values == {"exact_match": 1.0}
    assert known(found["word"]["score_length"].verdict).values == {"length_match": 1.0}
    assert known(found["other"]["score"].verdict).values == {"exact_match": 0.0}
    assert known(found[""]["score"].verdict).unparsed


def test_a_hostile_response_costs_only_its_own_verdict() -> None:
    began = time.monotonic()
    bad = ["hang", "busy", "raise", "exit", "memory", "recurse", "print"]
    found = judge([*bad, *(f"good {i}" for i in range(40)), "word"])
    assert time.monotonic() - began < 30
    assert "more than 1 s" in found["hang"]["score"].timeout
    assert "more than 1 s" in found["busy"]["score"].timeout
    assert "MemoryError" in found["memory"]["score"].timeout
    assert "RecursionError" in found["recurse"]["score"].timeout
    assert "a fault" in found["raise"]["score"].crash
    assert "echo_task.py" in found["raise"]["score"].crash
    assert "died" in found["exit"]["score"].crash
    assert known(found["print"]["score"].verdict).values == {"exact_match": 0.0}
    assert known(found["word"]["score"].verdict).values == {"exact_match": 1.0}
    # The other scorer of a hostile response still has its say.
    assert all(len(found[text]) == 2 for text in found)
    assert known(found["hang"]["score_length"].verdict).values == {"length_match": 1.0}
    assert all(found[f"good {i}"]["score"].verdict is not None for i in range(40))


def test_jobs_do_not_pile_up() -> None:
    """Whoever submits faster than is scored waits; every job is done, once."""
    found: list[str] = []
    most = 0
    with ScoringPool({"echo": ECHO}, 2) as pool:
        for number in range(4 * WAITING):
            response = Response(text=f"word{number}")
            pool.submit("echo", {"word": "word"}, response, lambda scorer, _: found.append(scorer))
            most = max(most, len(pool.jobs))
        pool.join()
    assert most <= WAITING + len(ECHO.scorers)
    assert sorted(found) == ["score"] * 4 * WAITING + ["score_length"] * 4 * WAITING


def test_any_text_gets_through() -> None:
    texts = ["\0", "\ud800", "x" * 1_000_000, "[" * 1_000_000, "\u2028", '"}\n{"', "𝔸"]
    found = judge([*texts], scoring_processes=1)
    assert all(known(found[text]["score"].verdict).extracted == text for text in texts)


def test_a_worker_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ECHO, "reference", "no.such.module")
    with pytest.raises(OlmesError, match="No module named 'no'"):
        judge(["word"])
