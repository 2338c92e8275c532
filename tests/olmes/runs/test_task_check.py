"""`olmes check`: sound tasks pass, and every fault of a task is found and named by its item."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from olmes.benchmark.registry import load_task
from olmes.cli.check import command
from olmes.runs.task_check import TaskCheck, check_task

FILES = Path(__file__).parents[1] / "files"
Change = Callable[..., Path]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, no data of the machine's."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)


@pytest.fixture
def changed(tmp_path: Path) -> Change:
    """One of the small task files with words replaced."""

    def write(name: str, *pairs: tuple[str, str]) -> Path:
        source = (FILES / f"{name}_task.py").read_text("utf-8")
        for old, new in pairs:
            assert old in source
            source = source.replace(old, new)
        path = tmp_path / f"{name}_task.py"
        path.write_text(source, "utf-8")
        return path

    return write


def checked(path: Path, data: Path | None = None, **options: Any) -> TaskCheck:
    return check_task(
        load_task(str(path)), data, say=lambda line: None, scoring_processes=1, **options
    )


def problems(found: TaskCheck) -> list[tuple[str, str, str]]:
    return [(one.kind, one.item, one.message) for one in found.problems]


def put(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    (folder / name).mkdir(parents=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / name / "test.jsonl").write_text(lines, "utf-8")
    return folder


def test_a_sound_task_passes(tmp_path: Path) -> None:
    data = put(tmp_path / "data", "echo", [{"word": "one"}, {"word": "three"}])
    found = checked(FILES / "echo_task.py", data)
    assert not found.problems
    assert found.prompts == 2
    assert found.first is not None
    assert found.first.messages[0]["content"] == "Say one."
    exact, length = found.metrics["exact_match"], found.metrics["length_match"]
    assert (exact.perfect, exact.corrupted, exact.not_corrupted) == (2, 2, 0)
    assert (length.perfect, length.corrupted) == (2, None)
    said = " ".join(one.message for one in found.notices)
    assert found.dataset.content_hash in said
    assert "`rows`" not in said  # which the task does not declare
    assert "sha256" not in said  # of a file that is fetched from nowhere


def test_a_scorer_that_is_wrong_is_found_with_item_and_reason(
    tmp_path: Path, changed: Change
) -> None:
    wrong = changed(
        "echo", ('response.text == doc["word"]', 'doc["word"] in response.text.lower()')
    )
    data = put(tmp_path / "data", "echo", [{"word": "one"}, {"word": "Two"}])
    found = checked(wrong, data)
    assert problems(found) == [
        (
            "corrupted",
            "echo/0",
            "exact_match is 1, expected 0 (response 'onex'; extracted 'onex')",
        ),
        ("perfect", "echo/1", "exact_match is 0, expected 1 (response 'Two'; extracted 'Two')"),
    ]
    assert (found.metrics["exact_match"].perfect, found.metrics["exact_match"].not_perfect) == (
        1,
        1,
    )


def test_a_scorer_that_breaks_or_hangs_is_found(tmp_path: Path, changed: Change) -> None:
    data = put(tmp_path / "data", "echo", [{"word": "raise"}, {"word": "exit"}, {"word": "hang"}])
    said = {
        item: message for kind, item, message in problems(checked(FILES / "echo_task.py", data))
    }
    assert said["echo/0"].startswith("score: ValueError: a fault (")
    assert said["echo/1"] == "score: the scoring process died"
    assert said["echo/2"] == "score took more than 1 s"


def test_prompts_that_fail_or_repeat_are_named_by_their_item(
    tmp_path: Path, changed: Change
) -> None:
    partial = changed("echo", ("format(**doc)", 'format(word=doc["word"][:3].strip() or 1 / 0)'))
    data = put(tmp_path / "data", "echo", [{"word": w} for w in ("one", "one", "oneness", "   ")])
    found = checked(partial, data)
    assert (found.prompts, found.duplicates) == (3, 2)
    assert [(one.item, one.message) for one in found.notices if one.kind == "prompt"] == [
        ("echo/1", "is a duplicate of echo/0"),
        ("echo/2", "has other content but the same prompt as echo/0"),
    ]
    kinds = {(kind, item) for kind, item, _ in problems(found)}
    assert ("prompt", "echo/3") in kinds
    assert {item for _, item in kinds} == {"echo/3"}


def test_log_likelihood_tasks(changed: Change) -> None:
    found = checked(FILES / "weighing_task.py")
    assert not found.problems
    assert found.needs["log_likelihoods"]
    assert (found.metrics["acc"].perfect, found.metrics["acc"].corrupted) == (20, 20)
    wrong = changed("weighing", ("best = max(", "best = min("))
    assert {kind for kind, _, _ in problems(checked(wrong, limit=3))} == {"perfect", "corrupted"}
    short = changed("weighing", ("for at in range(len(CITIES))))", "for at in range(3)))"))
    other = short.rename(short.with_name("short_task.py"))
    [*_, (kind, _, message)] = problems(checked(other, limit=1))
    assert (kind, message) == (
        "corrupted",
        "perfect_response has 3 `logprobs` for 4 continuations",
    )


def test_continuations_have_to_differ(changed: Change) -> None:
    same = changed("weighing", ('"Rome"', '"Paris"'))
    assert "two continuations are the same" in checked(same, limit=1).problems[0].message


def test_a_judged_task_is_checked_with_the_judgements_it_gives(
    tmp_path: Path, changed: Change
) -> None:
    rows = [{"word": "one", "encoder": ""}, {"word": "two", "encoder": "roberta-large"}]
    data = put(tmp_path / "data", "taste", rows)
    found = checked(FILES / "judged_task.py", data)
    assert not found.problems
    assert any("needs `perfect_judgements`" in one.message for one in found.notices)
    assert found.needs["encoders"] == ["roberta-large"]
    judged = changed(
        "judged",
        (
            "\n\nTASK = Taste()",
            "\n    def perfect_judgements(self, doc, questions, *, corrupt=False):"
            "\n        if doc['encoder']:"
            "\n            return [Judgement(similarities=(0.0, 1.0) if corrupt else (1.0, 0.0))]"
            "\n        return [Judgement(text='B' if corrupt else 'A')]"
            "\n\n\nTASK = Taste()",
        ),
    )
    found = checked(judged, data)
    assert not found.problems
    assert (found.metrics["win_rate"].perfect, found.metrics["win_rate"].corrupted) == (2, 2)


def test_href_is_checked_on_its_demo_data() -> None:
    found = check_task(load_task("href"), say=lambda line: None, scoring_processes=1)
    assert not found.problems
    assert found.metrics["win_rate"].perfect == found.metrics["win_rate"].corrupted == 27
    assert found.needs["judge"]


def test_a_number_has_to_say_that_it_is_one(changed: Change) -> None:
    metric = 'Metric(name="acc", help="the likeliest continuation is the right one")'
    nats = 'Metric(name="nats", help="nats lost", higher_is_better=False, unit="{}")'
    values = 'values={"acc": float(best == doc["answer"])'
    valued = (values, f'{values}, "nats": 3.5')
    found = checked(changed("weighing", (metric, f"{metric}, {nats.format('share')}"), valued))
    assert any("nats is 3.5, which is not a share" in message for _, _, message in problems(found))
    number = changed("weighing", (metric, f"{metric}, {nats.format('number')}"), valued)
    found = checked(number.rename(number.with_name("number_task.py")))
    assert not found.problems
    assert (found.metrics["nats"].unchecked, found.metrics["acc"].perfect) == (20, 20)


def test_a_primary_number_needs_a_value_for_timeouts_and_a_worse_corruption(
    changed: Change,
) -> None:
    metric = 'Metric(name="acc", help="the likeliest continuation is the right one")'
    less = 'Metric(name="acc", help="nats lost", unit="number", higher_is_better=False)'
    loss = ("float(best == doc[", "9.0 * float(best != doc[")
    found = checked(changed("weighing", (metric, less), loss), limit=2)
    assert [(kind, item) for kind, item, _ in problems(found)] == [("task", "")]
    assert "`wrong_values` has no acc" in found.problems[0].message
    assert (found.metrics["acc"].unchecked, found.metrics["acc"].corrupted) == (2, 2)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (('primary = "exact_match"', 'primary = "exact"'), "which is none of its metrics"),
        (('"score_length")', '"score_size")'), "`scorers` names 'score_size'"),
        (('{"length_match": float', '{"size": float'), "'size' is none of the metrics"),
    ],
)
def test_declarations_that_do_not_fit(
    tmp_path: Path, changed: Change, pair: tuple[str, str], words: str
) -> None:
    data = put(tmp_path / "data", "echo", [{"word": "one"}])
    found = checked(changed("echo", pair), data)
    assert any(words in message for _, _, message in problems(found))


def test_the_command_prints_and_says_by_its_status(tmp_path: Path, changed: Change) -> None:
    data = put(tmp_path / "data", "echo", [{"word": f"word{n}"} for n in range(9)])
    arguments = ["--data", str(data), "--scoring-processes", "1"]
    good = CliRunner().invoke(
        command, [str(FILES / "echo_task.py"), *arguments], standalone_mode=False
    )
    assert good.return_value == 0
    assert "9 of 9 ok" in good.output
    assert "Say word0." in good.output
    assert "echo: no problems found" in good.output
    wrong = changed("echo", ('response.text == doc["word"]', "response.text != doc['word']"))
    bad = CliRunner().invoke(command, [str(wrong), *arguments], standalone_mode=False)
    assert bad.return_value == 1
    assert "echo/0: exact_match is 0, expected 1" in bad.output
    assert "and 4 more about perfect responses" in bad.output
    assert "echo: 18 problems" in bad.output
    printed = CliRunner().invoke(
        command, [str(wrong), *arguments, "--limit", "2", "--json"], standalone_mode=False
    )
    row = json.loads(printed.stdout.splitlines()[-1])
    assert (row["ok"], row["items"], len(row["problems"])) == (False, 2, 4)
    assert set(row["hashes"]) == {"content_hash", "formulation_hash", "scorer_hash"}
    assert row["metrics"]["exact_match"]["not_perfect"] == 2
