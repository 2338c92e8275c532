"""What a task needs of a model is checked before anything is written: look, folder, request."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import OlmesError, Record, evaluate
from olmes.models.spec import load_model
from olmes.sequence import evaluate_sequence

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

FILES = Path(__file__).parents[1] / "files"
REFUSING = "{{ raise_exception('only pictures are taken here') }}"


@pytest.fixture
def exam(echo: EchoBench, tmp_path: Path) -> Callable[..., Record]:
    """Runs the held-out echo task."""
    suite = tmp_path / "exam.toml"
    suite.write_text(f'name = "exam"\ntasks = ["{echo.task}"]\nheld_out = true\n', "utf-8")

    def run(model: Path, max_length: int | None = None, **options: Any) -> Record:
        return evaluate(
            str(suite), model=load_model(str(model), max_length=max_length), data=echo.data,
            out=tmp_path / "runs", look="audit", scoring_processes=1, **options,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("template", "says"), [(None, "no chat template"), (REFUSING, "only pictures are taken here")]
)
def test_a_model_that_cannot_be_asked_costs_no_look(
    exam: Callable[..., Record],
    build: Callable[..., Path],
    tmp_path: Path,
    template: str | None,
    says: str,
) -> None:
    model = build(tmp_path / "model", template=template)
    with pytest.raises(OlmesError, match=says):
        exam(model)
    assert not (tmp_path / "runs").exists()


def test_a_window_too_small_for_any_prompt_costs_no_look(
    exam: Callable[..., Record], tiny_folder: Path, tmp_path: Path
) -> None:
    settings = {"echo.max_tokens": 8}
    with pytest.raises(OlmesError, match=r"echo cannot be asked of .*window 8.*lower max_tokens"):
        exam(tiny_folder, max_length=8, settings=settings)
    assert not (tmp_path / "runs").exists()


def test_prompts_that_fit_are_answered_though_the_first_do_not(
    echo: EchoBench, tiny_folder: Path, tmp_path: Path
) -> None:
    words = ["far too long " * 12] * 30 + ["short"] * 3
    rows = "".join(json.dumps({"word": f"{word}{at}"}) + "\n" for at, word in enumerate(words))
    (echo.data / "echo/test.jsonl").write_text(rows, "utf-8")
    record = evaluate(
        str(echo.task), model=load_model(str(tiny_folder), max_length=64), data=echo.data,
        out=tmp_path / "runs", settings={"echo.max_tokens": 64}, scoring_processes=1,
    )  # fmt: skip
    task = record.tasks["echo"]
    assert (task.said("failed"), task.score.n) == (30, 3)
    [reason] = task.reasons["failed"]
    assert reason.count == 30
    assert "the model's window 64, which leaves no room for an answer" in reason.text
    assert "far too long" not in reason.text


def test_a_judge_that_cannot_be_asked_is_found_before_the_model_is(
    build: Callable[..., Path], tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data/taste"
    folder.mkdir(parents=True)
    row = json.dumps({"word": "violet", "encoder": ""}) + "\n"
    (folder / "test.jsonl").write_text(row, "utf-8")
    judge = build(tmp_path / "judge", template=None)
    with pytest.raises(OlmesError, match="no chat template"):
        evaluate(
            str(FILES / "judged_task.py"), model=str(tiny_folder), judge=str(judge),
            data=tmp_path / "data", out=tmp_path / "runs",
        )  # fmt: skip
    assert not (tmp_path / "runs").exists()


def test_one_that_cannot_be_asked_stops_no_other_of_a_sequence(
    echo: EchoBench, build: Callable[..., Path], tiny_folder: Path, tmp_path: Path
) -> None:
    base = build(tmp_path / "base", template=None)
    members = evaluate_sequence(
        str(echo.task), [str(base), str(tiny_folder)], data=echo.data, out=tmp_path / "runs",
        scoring_processes=1,
    )  # fmt: skip
    assert [member.complete for member in members] == [False, True]
    assert "no chat template" in members[0].trouble
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_run_whose_answers_are_all_there_needs_no_tokenizer(
    echo: EchoBench, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(out: str) -> Record:
        return evaluate(
            str(echo.task), model=str(tiny_folder), data=echo.data, out=tmp_path / out,
            scoring_processes=1,
        )  # fmt: skip

    first = run("first")

    def fail(*_: object) -> None:
        raise AssertionError("a tokenizer was loaded")

    monkeypatch.setattr("olmes.models.checkpoint.folder.load_tokenizer", fail)
    assert run("second").tasks["echo"].metrics == first.tasks["echo"].metrics
