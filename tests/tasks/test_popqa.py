"""PopQA: prompts to the byte, the substring rule as the reference's, and whole words beside it."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Response
from olmes.benchmark.registry import load_task
from olmes.data.catalog import listing
from olmes.data.resolve import resolve
from olmes.models.recorded_rows import RecordedResponse
from olmes.requests.recorded import Finder
from tests.golden import prompt_hash

TASK = load_task("popqa")
PART = "popqa/popqa_1000_full_fields.jsonl.gz"
DEMO = Path(__file__).parents[2] / "tasks/demo/popqa.jsonl"


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@pytest.fixture(scope="module")
def docs(shared_data: Path) -> list[dict[str, Any]]:
    return rows(shared_data / PART)


def test_golden_prompts(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    for row in rows(shared_reference / "prompts/popqa.jsonl.gz"):
        doc = docs[row["doc_id"]]
        request = TASK.request(doc)
        assert list(request.messages) == row["messages"]
        assert request.prefill == row["assistant_prefix"]
        assert TASK.gold(doc) == row["gold"]
        asked = row["generation"]
        generation = request.generation
        assert generation.max_tokens == asked["max_gen_toks"]
        assert generation.temperature == asked["temperature"]
        assert list(generation.stop) == asked["stop_sequences"]


def test_every_hashed_prompt(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    hashes = rows(shared_reference / "prompts/all_prompt_hashes.jsonl.gz")
    [row] = [row for row in hashes if row["task"] == "popqa::tulu"]
    assert len(row["doc_ids"]) == 334
    for doc_id, expected in zip(row["doc_ids"], row["sha256_16"], strict=True):
        request = TASK.request(docs[doc_id])
        assert prompt_hash(request) == expected


def test_verdicts_are_the_references(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    recorded = rows(shared_reference / "verdicts/popqa.jsonl.gz")
    assert len(recorded) == 640
    for row in recorded:
        doc = docs[row["doc_id"]]
        assert TASK.gold(doc) == row["gold"]
        found = TASK.score(doc, Response(text=row["response"]))
        assert found.values["exact_match"] == row["reference"]["exact_match"]


def test_the_hubs_rows_are_the_same_items(docs: list[dict[str, Any]]) -> None:
    """The hub has the aliases as JSON; either form is read, in data as in a recording."""
    for doc in docs[:50]:
        hub = {"question": doc["question"], "possible_answers": json.dumps(doc["golden_answers"])}
        assert TASK.gold(hub) == TASK.gold(doc)
        assert TASK.request(hub) == TASK.request(doc)
        row = RecordedResponse(source="line 1", task="popqa", doc=hub, text="")
        assert Finder(TASK, None).instance(row).doc == {
            "question": doc["question"],
            "golden_answers": doc["golden_answers"],
        }


def test_a_folder_may_hold_the_hubs_form(tmp_path: Path) -> None:
    file = tmp_path / "popqa/test.jsonl"
    file.parent.mkdir()
    file.write_text('{"question": "Who?", "possible_answers": "[\\"Ann\\"]", "id": 7}\n', "utf-8")
    [item] = resolve(TASK, tmp_path, say=lambda line: None).instances
    assert item.doc == {"question": "Who?", "golden_answers": ["Ann"]}
    file.write_text('{"question": "Who?", "possible_answers": "Ann"}\n', "utf-8")
    with pytest.raises(OlmesError, match="row 1: not in a form that popqa knows"):
        resolve(TASK, tmp_path, say=lambda line: None)


def test_a_folder_may_hold_a_part(shared_data: Path) -> None:
    said: list[str] = []
    data = resolve(TASK, shared_data, say=said.append)
    assert (data.origin, len(data.instances), data.official) == ("folder", 1000, False)
    assert "no content hash" in said[0]
    [listed] = listing([TASK], shared_data)
    assert (listed.path, listed.rows, listed.state) == (PART, 1000, "folder")


def check_oracle(items: list[dict[str, Any]]) -> int:
    """How many items have no honest value, because the prompt shows their answer."""
    shown = 0
    for doc in items:
        perfect = TASK.score(doc, TASK.perfect_response(doc)).values
        assert perfect == TASK.perfect_values(doc)
        assert set(perfect.values()) == {1.0}
        shown += "exact_match_words" not in perfect
        corrupt = TASK.score(doc, TASK.perfect_response(doc, corrupt=True)).values
        assert set(corrupt.values()) == {0.0}
    return shown


def test_oracle_over_the_whole_data(docs: list[dict[str, Any]]) -> None:
    assert check_oracle(docs) == 1


def test_demo_data_meet_every_branch() -> None:
    items = [json.loads(line) for line in DEMO.read_text("utf-8").splitlines()]
    assert len(items) >= 24
    assert check_oracle(items) == 1
    aliases = [alias for doc in items for alias in doc["golden_answers"]]
    assert any(len(alias) <= 3 and alias.isupper() for alias in aliases)
    assert any(len(alias) <= 3 and alias.islower() for alias in aliases)
    assert any(not alias.isascii() for alias in aliases)


def test_trap_13_exemplars_are_test_items() -> None:
    """The protocol counts them; the honest metric has no value where the prompt holds the answer."""
    doc = {"question": "What color is chalk?", "golden_answers": ["white"]}
    assert f"Q: {doc['question']} A:" in [each["content"] for each in TASK.request(doc).messages]
    found = TASK.score(doc, Response(text=" white")).values
    assert found == {"exact_match": 1.0}


# Trap 13, too: the alias as a substring (protocol | honest).
@pytest.mark.parametrize(
    ("text", "aliases", "protocol", "honest"),
    [
        (" Ines Caldeira", ["Ines Caldeira"], 1, 1),
        ("INES CALDEIRA", ["Ines Caldeira"], 0, 1),
        ("Inês  Caldeira.", ["Ines Caldeira"], 0, 1),
        ("It was produced by Ines Caldeira.", ["Ines Caldeira"], 1, 1),
        ("The answer is the Ines-Caldeira", ["Ines Caldeira"], 0, 1),
        ("a politician", ["pol"], 1, 0),
        ("pol", ["pol"], 1, 1),
        ("The answer is pol.", ["pol"], 1, 1),
        ("a former police officer", ["ice"], 1, 0),
        ("He was born in Rome", ["India", "IN", "in"], 1, 0),
        ("It lies in the USA.", ["USA"], 1, 1),
        ("It lies in the usa.", ["USA"], 1, 0),
        ("usa", ["USA"], 1, 1),
        ("Musaraña", ["USA"], 1, 0),
        ("adventure filmmaking", ["adventure film"], 1, 0),
        ("drama film\nQ: What genre is X? A: comedy", ["comedy"], 1, 0),
        ("<think>comedy</think> drama", ["comedy"], 1, 0),
        ("!!!", ["!!!"], 1, 1),
        ("The Beatles", ["Beatles, the"], 0, 1),
        ("Norland", ["Kingdom of Norland"], 0, 0),
        ("I do not know", ["Norland"], 0, 0),
        ("", ["Norland"], 0, 0),
    ],
)
def test_what_counts(text: str, aliases: list[str], protocol: int, honest: int) -> None:
    found = TASK.score({"question": "Who?", "golden_answers": aliases}, Response(text=text))
    assert found.values == {"exact_match": protocol, "exact_match_words": honest}
    assert found.unparsed == (not text)


def test_votes_and_clusters() -> None:
    assert TASK.vote("Ines Caldeira.") == TASK.vote("the INÊS caldeira") == "ines caldeira"
    assert TASK.vote(None) is None
    one, same, other = (
        TASK.cluster({"question": question, "golden_answers": aliases})
        for question, aliases in (("Who is A?", ["x"]), ("Who is A?", ["y"]), ("Who is B?", ["x"]))
    )
    assert one == same != other


def test_more_shots_than_there_are_exemplars_are_refused() -> None:
    with pytest.raises(OlmesError, match="has 15 exemplars"):
        TASK.with_settings({"shots": 16}).request({"question": "Who?", "golden_answers": []})


@pytest.mark.parametrize("text", ["a" * 1_000_000, "Q: " * 300_000, "\n" * 1_000_000, "\ud800\0"])
def test_hostile_text_is_judged_in_time(text: str) -> None:
    begin = time.process_time()
    doc = {"question": "Who?", "golden_answers": ["Ines Caldeira", "IC", "a b", "\ud800"]}
    TASK.score(doc, Response(text=text))
    assert time.process_time() - begin < TASK.time_limit
