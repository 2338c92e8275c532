"""GPQA: its prompt and order of options, extraction as the reference's, and the gate."""

from __future__ import annotations

import csv
import gzip
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Response, evaluate
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.reports.run_page import write_run_page
from olmes.seal.sealing import unseal

TASK: Any = load_task("gpqa")
DEMO = Path(__file__).parents[2] / "tasks/demo/gpqa.jsonl"
FIELDS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def item(index: int = 0) -> dict[str, Any]:
    options = ("12 red apples", "A kite factory", "none of them can swim", "the price of copper")
    return {"index": index, "Question": "Which?", **dict(zip(FIELDS, options, strict=True))}


def keyed(letter: str) -> dict[str, Any]:
    """An item whose right option has the letter."""
    return next(item(index) for index in range(100) if TASK.gold(item(index)) == letter)


PROMPT = """\
Answer the following multiple-choice question by giving the correct answer letter in parentheses. \
Provide CONCISE reasoning for the answer, and make sure to finish the response with "Therefore, the \
answer is (ANSWER_LETTER)" where (ANSWER_LETTER) is one of (A), (B), (C), (D).

Question:  How many  [sic] are there?\x20
Choices:
 (A) {A}
 (B) {B}
 (C) {C}
 (D) {D}


Answer the above question and REMEMBER to finish your response with the exact phrase "Therefore, the \
answer is (ANSWER_LETTER)" where (ANSWER_LETTER) is one of (A), (B), (C), (D)."""


@pytest.mark.parametrize("index", [0, 1, 7, 447])
def test_the_prompt(index: int) -> None:
    """Options are tidied and drawn in order by the row, the question stays as it is (trap 16)."""
    doc = {
        "index": index,
        "Question": " How many  [sic] are there? ",
        "Correct Answer": " two [title] of  them ",
        "Incorrect Answer 1": "one [see below]",
        "Incorrect Answer 2": "three",
        "Incorrect Answer 3": "none\n",
    }
    shown = ["one ", "three", "none", "two. of them"]
    random.Random(111 + index).shuffle(shown)
    request = TASK.request(doc)
    content = PROMPT.format(**dict(zip("ABCD", shown, strict=True)))
    assert list(request.messages) == [{"role": "user", "content": content}]
    assert TASK.gold(doc) == "ABCD"[shown.index("two. of them")]
    assert (request.prefill, request.generation.max_tokens, request.generation.stop) == (
        "", 2048, (),
    )  # fmt: skip


def test_the_key_is_found_by_value() -> None:
    """Where a wrong option reads as the right one does, the first of the two is the key."""
    doc = item() | {"Incorrect Answer 2": "12 red apples [as seen]"[:13]}
    options = TASK.options(doc)
    assert options.count("12 red apples") == 2
    assert TASK.gold(doc) == "ABCD"[options.index("12 red apples")]


def test_the_order_is_drawn_anew_for_each_row() -> None:
    keys = Counter(TASK.gold(item(index)) for index in range(448))
    assert set(keys) == set("ABCD")
    assert min(keys.values()) > 80


def test_extraction_is_the_references(shared_reference: Path, shared_data: Path) -> None:
    path = shared_reference / "verdicts/mc_extraction.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        recorded = [row for row in map(json.loads, stream) if row["task"].startswith("gpqa:")]
    assert len(recorded) == 365
    for row in recorded:
        text = row["response"] if "response" in row else read(shared_data, row["source"])
        found = TASK.score(keyed(row["gold"]), Response(text=text))
        assert (found.extracted or "") == row["extracted"]
        assert found.values["exact_match"] == row["reference"]["exact_match"]


def read(data: Path, source: dict[str, Any]) -> str:
    with gzip.open(data / source["file"], "rt", encoding="utf-8") as stream:
        return str([json.loads(line) for line in stream][source["row"]][source["field"]])


def demo_docs() -> list[dict[str, Any]]:
    return [json.loads(line) for line in DEMO.read_text("utf-8").splitlines()]


def check_oracle(items: list[dict[str, Any]]) -> None:
    for doc in items:
        assert set(TASK.score(doc, TASK.perfect_response(doc)).values.values()) == {1.0}
        corrupt = TASK.perfect_response(doc, corrupt=True)
        assert set(TASK.score(doc, corrupt).values.values()) == {0.0}


def test_sample_covers_what_the_data_has() -> None:
    items = demo_docs()
    check_oracle(items)
    assert len(items) >= 24
    assert [doc["index"] for doc in items] == list(range(len(items)))
    assert {TASK.gold(doc) for doc in items} == set("ABCD")
    texts = [doc[name] for doc in items for name in FIELDS]
    for part in ("[title]", "  [", "["):
        assert any(part in text for text in texts)
    for doc in items:
        assert len(set(TASK.options(doc))) == 4
        assert not any("[" in option for option in TASK.options(doc))


# What the response says, with the key C.
@pytest.mark.parametrize(
    ("text", "extracted", "protocol", "lenient"),
    [
        ("Therefore, the answer is (C)", "C", 1, 1),
        ("Therefore, the answer is (A). Wait. Therefore, the answer is (C).", "C", 1, 1),
        ("Therefore, the answer is (C). It is not (A).", "C", 1, 1),
        ("Not (A), so the answer is (C), however one looks at it. See (B).", "B", 0, 1),
        ("The correct answer is: C", "C", 1, 1),
        ("The correct answer is: A. B is wrong", "A", 0, 0),
        ("I would say C", "C", 1, 0),
        ("the answer is c", None, 0, 1),
        ("Vitamin C is what it lacks", "C", 1, 0),
        ("I do not know", None, 0, 0),
        ("", None, 0, 0),
    ],
)
def test_what_counts(text: str, extracted: str | None, protocol: int, lenient: int) -> None:
    found = TASK.score(keyed("C"), Response(text=text))
    assert found.extracted == extracted
    assert found.values == {"exact_match": protocol, "exact_match_lenient": lenient}


def test_a_note_names_letters_alone() -> None:
    found = TASK.score(keyed("C"), Response(text="Vitamin C is what it lacks"))
    assert found.note == "states no one option, the protocol reads C"
    assert found.unparsed


def official(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A file as the official one is laid out: more columns, and none with the row."""
    (folder / "gpqa").mkdir(parents=True)
    with (folder / "gpqa/gpqa_main.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, ["Record ID", "Question", *FIELDS], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({"Record ID": f"rec{n}"} | row for n, row in enumerate(rows))
    return folder


def test_the_official_file_from_a_folder(tmp_path: Path) -> None:
    items = demo_docs()
    data = resolve(TASK, official(tmp_path, items[::-1]), say=lambda line: None)
    assert data.gated
    assert [one.doc["index"] for one in data.instances] == list(range(len(items)))
    assert [one.doc["Question"] for one in data.instances] == [d["Question"] for d in items[::-1]]
    check_oracle([one.doc for one in data.instances])


def test_a_run_on_its_file_keeps_every_item_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    items = [item(n) | {"Question": f"Which quorblax is of kind {n}?"} for n in range(4)]
    data = official(tmp_path / "data", items)
    said = [
        {"doc_id": n, "response": f"The quorblax is ({TASK.gold(items[n])})."} for n in range(4)
    ]
    recording = tmp_path / "said.jsonl"
    recording.write_text("".join(json.dumps(row) + "\n" for row in said), "utf-8")
    record = evaluate(
        "gpqa", model=f"replay:{recording}", data=data, out=tmp_path / "runs", look="to test",
        scoring_processes=1,
    )  # fmt: skip
    assert record.value("gpqa") == 1.0
    assert list(record.run.gated) == ["gpqa"]
    write_run_page(record, record.folder / "report.html")
    with pytest.raises(OlmesError, match="gated items and stay packed"):
        unseal(record.folder, "to see")
    for path in (tmp_path / "runs").rglob("*"):
        assert path.is_dir() or b"quorblax" not in path.read_bytes(), path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No folder, no token and a hub of its own."""
    for name in ("OLMES_DATA", "OLMES_OFFLINE", "HF_HUB_OFFLINE", "OLMES_HUB_MIRROR", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    return monkeypatch


REMEDY = "accept its terms at https://huggingface.co/datasets/Idavidrein/gpqa"


def test_without_a_token_or_a_folder_it_is_said_what_to_do(nowhere: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    data = resolve(TASK, say=said.append)
    assert data.origin == "demo"
    assert not data.gated
    [told] = [line for line in said if "gated" in line]
    for part in (REMEDY, "HF_TOKEN", "gpqa/gpqa_main.csv", "--data DIR"):
        assert part in told


@pytest.mark.parametrize("token", ["", "hf_of_somebody"])
def test_without_a_network_it_is_said_too(nowhere: pytest.MonkeyPatch, token: str) -> None:
    nowhere.setenv("HF_TOKEN", token)
    nowhere.setenv("OLMES_OFFLINE", "1")
    nowhere.setenv("HF_HUB_OFFLINE", "1")
    said: list[str] = []
    assert resolve(TASK, say=said.append).origin == "demo"
    assert any(line.startswith("gpqa: OLMES_OFFLINE") and REMEDY in line for line in said)


def test_a_token_that_does_not_help_is_told_the_same(nowhere: pytest.MonkeyPatch) -> None:
    import datasets

    from olmes.data import network

    def refused(*args: object, **options: object) -> None:
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'Idavidrein/gpqa' is gated")

    nowhere.setenv("HF_TOKEN", "hf_of_nobody")
    nowhere.setattr(network, "require", lambda address: None)  # mock: there is no hub here
    nowhere.setattr(datasets, "load_dataset", refused)
    said: list[str] = []
    assert resolve(TASK, say=said.append).origin == "demo"
    assert any(REMEDY in line and "could not be loaded" in line for line in said)


def test_a_named_folder_without_it_says_so_and_looks_elsewhere(
    tmp_path: Path, nowhere: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    assert resolve(TASK, tmp_path, say=said.append).origin == "demo"
    assert any("does not hold it" in line for line in said)
    assert any(REMEDY in line for line in said)


def test_settings() -> None:
    other = TASK.with_settings({"seed": 5})
    orders = [[TASK.gold(item(n)), other.gold(item(n))] for n in range(20)]
    assert any(ours != theirs for ours, theirs in orders)
    with pytest.raises(OlmesError, match="give four"):
        TASK.with_settings({"extract": ("[A-D]",)})
    with pytest.raises(OlmesError, match="0 exemplars"):
        TASK.with_settings({"shots": 3}).request(item())


HOSTILE = {
    "brackets": "(" * 1_000_000,
    "one long line": "x" * 1_000_000,
    "lone surrogate": "\ud800 the answer is (C).",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged_in_time(name: str) -> None:
    begin = time.process_time()
    TASK.score(item(), Response(text=HOSTILE[name]))
    assert time.process_time() - begin < TASK.time_limit
