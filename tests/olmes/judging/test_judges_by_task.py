"""Judges by task: who is asked about which, at whose price, and in which run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Record, evaluate
from olmes.judging.judge import Judge
from olmes.judging.judges import Judges, parse_judges
from tests.known import known
from tests.olmes.judging.test_judging_stage import TASK, RuleJudge, write

LIKE_TASTE = ("flavour", "scent")


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three judged tasks on the same data, and a recording that answers all of them."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)
    write(tmp_path, [""] * 4)
    files = [str(TASK)]
    for name in LIKE_TASTE:
        file = tmp_path / f"{name}_task.py"
        source = TASK.read_text(encoding="utf-8")
        file.write_text(source.replace('name = "taste"', f'name = "{name}"'), encoding="utf-8")
        files.append(str(file))
    rows = (tmp_path / "said.jsonl").read_text(encoding="utf-8").splitlines()
    said = [
        row.replace("{", f'{{"task": "{name}", ', 1)
        for name in ("taste", *LIKE_TASTE)
        for row in rows
    ]
    (tmp_path / "said.jsonl").write_text("\n".join(said) + "\n", encoding="utf-8")
    return files


def run(tmp_path: Path, tasks: list[str], judge: Any, **options: Any) -> Record:
    return evaluate(
        tasks, model=f"replay:{tmp_path / 'said.jsonl'}", data=tmp_path / "data",
        out=tmp_path / "runs", judge=judge, scoring_processes=1, **options,
    )  # fmt: skip


class Other(RuleJudge):
    """Another judge."""

    name = "other"
    fingerprint = "cd" * 32


def judge_of(record: Record, task: str) -> str:
    return known(known(record.tasks[task].judge).model).name


def test_a_task_is_judged_by_its_own_and_the_others_by_the_judge_of_all(
    tmp_path: Path, tasks: list[str]
) -> None:
    every, own = RuleJudge(tokens=10), Other(tokens=40)
    record = run(tmp_path, tasks, {"": Judge(model=every), "scent": Judge(model=own)})
    assert {task: judge_of(record, task) for task in record.tasks} == {
        "taste": "rule", "flavour": "rule", "scent": "other",
    }  # fmt: skip
    assert (len(every.asked), len(own.asked)) == (4, 4)  # equal questions are asked once a judge
    assert known(record.tasks["scent"].judge).tokens == {"prompt": 160, "completion": 4}
    assert record.complete


def test_a_task_without_a_judge_is_not_run(tmp_path: Path, tasks: list[str]) -> None:
    record = run(tmp_path, tasks, {"scent": Judge(model=Other())})
    assert set(record.tasks) == {"scent"}
    assert any(line.startswith("taste: not run") for line in record.run.warnings)


def test_each_judge_has_a_budget_of_its_own(tmp_path: Path, tasks: list[str]) -> None:
    rich, poor = Judge(model=RuleJudge(), budget=10_000), Judge(model=Other(), budget=1)
    record = run(tmp_path, tasks, {"": rich, "flavour": poor})
    assert record.tasks["taste"].said("unjudged") == record.tasks["scent"].said("unjudged") == 0
    assert record.tasks["flavour"].said("unjudged") == 4
    said = next(line for line in record.run.warnings if "budget" in line)
    assert said.startswith("flavour")


def test_who_judges_decides_which_run_it_is(tmp_path: Path, tasks: list[str]) -> None:
    one = {name: Judge(model=RuleJudge()) for name in ("taste", *LIKE_TASTE)}
    runs: list[Mapping[str, Judge] | Judge] = [
        Judge(model=RuleJudge()), one, one | {"scent": Judge(model=Other())}
    ]  # fmt: skip
    names = [run(tmp_path, tasks, judge).id for judge in runs]
    assert names[0] == names[1]  # the same judge, however it is written
    assert names[2] != names[0]


def test_a_judge_for_a_task_that_is_not_there_is_refused(tmp_path: Path, tasks: list[str]) -> None:
    with pytest.raises(
        OlmesError, match=r"--judge sent=\.\.\.: no judged task of that name.*scent"
    ):
        run(tmp_path, tasks, {"sent": Judge(model=RuleJudge())})


def test_what_the_command_says() -> None:
    assert parse_judges(()) is None
    assert parse_judges(("openai:a@http://h/v1?x=1",)) == "openai:a@http://h/v1?x=1"
    assert parse_judges(("M", "href=openai:b@http://h", "safety=./w=1")) == {
        "": "M", "href": "openai:b@http://h", "safety": "./w=1",
    }  # fmt: skip
    assert parse_judges(("href=M",)) == {"href": "M"}
    with pytest.raises(OlmesError, match="every task has a judge already"):
        parse_judges(("a", "b"))
    with pytest.raises(OlmesError, match="href has a judge already"):
        parse_judges(("href=a", "href=b"))


def test_each_judge_is_given_once() -> None:
    shared, own = Judge(model=RuleJudge()), Judge(model=Other())
    judges = Judges(shared, {"a": shared, "b": own})
    assert list(judges) == [shared, own]
    assert judges.of("z") is shared
    assert isinstance(judges.described(["a", "b"]), dict)
    assert not isinstance(judges.described(["a", "z"]), dict)
