"""Rewards from tests that are executed with a response's code, in the sandbox of evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.data.training_rows import rlvr_row
from olmes.trainers.rewards.verifiers import VerifierRewards

DOUBLING = Path(__file__).parents[1] / "olmes/files/code_task.py"
RIGHT = "It doubles:\n```python\ndef double(n):\n    return 2 * n\n```\nThat is all."
WRONG = "```python\ndef double(n):\n    return n\n```"
EARLY = "```python\nimport os\nos._exit(0)\n```"
FORGED = "```python\nimport os\nfor place in range(3, 64):\n    try:\n        os.write(place, b'passed')\n    except OSError:\n        pass\n```"  # noqa: E501
TESTS = ["assert double(2) == 4", "assert double(0) == 0"]

pytestmark = pytest.mark.usefixtures("bubblewrap_program")


def row(*verifiers: dict[str, Any]) -> dict[str, Any]:
    return dict(rlvr_row({"messages": "Double n.", "verifiers": list(verifiers)}, Path()))


def test_the_code_of_a_response_is_rewarded_by_its_tests() -> None:
    given = row({"code": {"tests": TESTS}, "weight": 2.0})
    texts = [RIGHT, WRONG, EARLY, FORGED, "", "def double(n):\n    return n + n", "no code at all"]
    with VerifierRewards([given], scoring_processes=2) as rewards:
        found = rewards.score([given] * len(texts), texts)
    assert found.rewards == [2.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0]
    assert (found.timeouts, found.crashes) == (0, 0)


def test_a_share_of_the_tests_rewards_where_that_is_asked() -> None:
    given = row({"code": {"tests": TESTS, "before": "import math"}, "metric": "share_passed"})
    with VerifierRewards([given], scoring_processes=1) as rewards:
        assert rewards.score([given] * 2, [WRONG, RIGHT]).rewards == [0.5, 1.0]


def test_a_thoughts_code_is_not_executed() -> None:
    given = row({"code": TESTS[0]})
    text = f"<think>\n{RIGHT}\n</think>\n{WRONG}"
    with VerifierRewards([given], scoring_processes=1) as rewards:
        assert rewards.score([given], [text]).rewards == [0.0]


def test_a_task_whose_responses_are_executed_rewards_too() -> None:
    given = row({"task": str(DOUBLING), "doc": {"number": 4}})
    right, wrong = (text.split("```")[1].removeprefix("python\n") for text in (RIGHT, WRONG))
    with VerifierRewards([given], scoring_processes=1) as rewards:
        assert rewards.score([given] * 3, [right, wrong, "import sys\nsys.exit(0)"]).rewards == [
            1.0, 0.0, 0.0,
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ({"test": "assert True"}, "an object with 'tests'"),
        ({"tests": "assert True", "timeout": 3}, "has no 'timeout'"),
        ({"tests": []}, "a text of Python, or a list"),
        ({"tests": "assert True", "wall_s": 0}, "a number above 0"),
        ({"tests": "assert True", "environment": "nowhere"}, "olmes sandbox install nowhere"),
    ],
)
def test_tests_that_cannot_be_executed_are_refused(code: Any, message: str) -> None:
    with pytest.raises(OlmesError, match=message):
        VerifierRewards([row({"code": code})])


def test_without_a_sandbox_a_training_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_SANDBOX", "podman")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OlmesError, match="executed in a sandbox alone.*podman is not there"):
        VerifierRewards([row({"code": TESTS[0]})])
