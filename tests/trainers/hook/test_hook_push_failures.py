"""A checkpoint that a results server refuses keeps no other one from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from olmes.trainers.checkpoints.manifest import Training
from olmes.trainers.checkpoints.worker import main
from tests.olmes.cli.odd_server import Odd, OddServer, as_json, login_page, serving

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab

pytestmark = pytest.mark.slow


@pytest.fixture
def odd() -> Iterator[OddServer]:
    with serving() as server:
        yield server


def test_a_refused_checkpoint_keeps_no_other_from_the_server(
    lab: Lab, odd: OddServer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("olmes.trainers.checkpoints.worker.PATIENCE", 0.1)
    lab.train(4, 2, lab.hook())
    first, second = lab.scores()
    training = Training.read(lab.training)
    (lab.training / "training.json").write_text(
        json.dumps(json.loads((lab.training / "training.json").read_text()) | {"push": odd.url})
    )
    assert training.push == ""
    there = as_json(
        uploads={"state": "present", "run": {"id": "x", "content_hash": "c", "opened": False}}
    )
    asked: list[str] = []

    def refuse_first(one: Odd) -> None:
        asked.append(one.path)
        if len(asked) == 1:
            one.send(422, b'{"error": {"field": "id", "message": "not this one."}}')
        else:
            there(one)

    odd.answer = refuse_first
    assert main([str(lab.training), "--drain"]) == 0
    said = capfd.readouterr().out
    assert said.count("not this one.") == 1
    assert said.count("pushed ") == 2  # the refused one once more at the end, and then taken
    odd.answer = login_page
    assert main([str(lab.training), "--drain"]) == 0
    assert "login page" in capfd.readouterr().out
    assert [row["state"] for row in lab.scores()] == ["done", "done"]
    assert first["record"] != second["record"]
