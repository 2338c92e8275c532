"""Recorded responses."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.recorded_rows import RecordedResponse, read_recorded
from olmes.models.replay import RecordedResponses, ReplayModel, request_key
from olmes.types import Generation, Request, Response


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """Write lines (objects or raw text) to a file."""

    def write(*lines: object, name: str = "responses.jsonl") -> Path:
        text = "\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n"
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def test_rows_are_read_in_order_with_their_fields(recording: Callable[..., Path]) -> None:
    path = recording(
        {"response": "a", "doc_id": 0},
        "",
        {"response": "", "doc_id": 0, "task": "bbh", "subtask": "navigate", "repeat": 2},
        {"response": "b\ud800", "doc": {"q": 1}, "finish": "length", "tokens": 7, "model": "x"},
        {"response": "", "doc": {"q": 2}, "doc_id": 9, "finish": "error", "subtask": None},
    )
    rows = read_recorded(path)
    expected: list[tuple[str, dict[str, Any]]] = [
        (f"{path}, line 1", {"text": "a", "doc_id": 0}),
        (
            f"{path}, line 3",  # the line of an editor: blank ones count
            {"text": "", "doc_id": 0, "task": "bbh", "subtask": "navigate", "repeat": 2},
        ),
        (f"{path}, line 4", {"text": "b\ud800", "doc": {"q": 1}, "finish": "length", "tokens": 7}),
        (f"{path}, line 5", {"text": "", "doc_id": 9, "doc": {"q": 2}, "finish": "error"}),
    ]
    assert rows == [RecordedResponse(source=source, **fields) for source, fields in expected]
    assert rows[2].to_response() == Response(text="b\ud800", finish="length", completion_tokens=7)
    assert rows[3].to_response().error


def test_rows_of_log_probabilities(recording: Callable[..., Path]) -> None:
    path = recording(
        {"logprobs": [-1.5, -2, 0], "doc_id": 0},
        {"response": "a", "logprobs": None, "doc_id": 1},
        {"logprobs": [-1e-300, -3e4], "doc": {"q": 1}, "repeat": 1, "response": None},
    )
    rows = read_recorded(path)
    assert [row.logprobs for row in rows] == [(-1.5, -2.0, 0.0), (), (-1e-300, -3e4)]
    assert rows[0].to_response() == Response(logprobs=(-1.5, -2.0, 0.0))
    assert [row for _, row in RecordedResponses(path)] == rows


def test_a_gzipped_recording_is_read(recording: Callable[..., Path]) -> None:
    row = {"response": "a", "doc_id": 3}
    assert read_recorded(recording(row, name="r.jsonl.gz"))[0].doc_id == 3


GOOD = {"response": "a", "doc_id": 0}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"response": ', "line 3: not JSON"),
        ("[1]", "line 3: not a JSON object"),
        ({"doc_id": 1}, "line 3: 'response' must be"),
        ({"response": None, "doc_id": 1}, "line 3: 'response' must be"),
        ({"response": "a"}, "line 3: give 'doc_id'"),
        ({"response": "a", "doc_id": "1"}, "line 3: 'doc_id' must be a whole number"),
        ({"response": "a", "doc_id": True}, "line 3: 'doc_id' must be a whole number"),
        ({"response": "a", "doc_id": -1}, "line 3: 'doc_id' must be a whole number"),
        ({"response": "a", "doc": "x"}, "line 3: 'doc' must be the item"),
        ({"response": "a", "doc_id": 1, "repeat": 0.5}, "line 3: 'repeat' must be"),
        ({"response": "a", "doc_id": 1, "repeat": 10**6}, "line 3: 'repeat' must be below"),
        ({"response": "a", "doc_id": 1, "subtask": 4}, "line 3: 'subtask' must be a name"),
        ({"response": "a", "doc_id": 1, "finish": "eos"}, "line 3: 'finish' must be one of stop"),
        ({"response": "a", "logprobs": [-1], "doc_id": 1}, "line 3: 'response' and 'logprobs' are"),
        ({"logprobs": None, "doc_id": 1}, "line 3: 'response' must be"),
        ({"logprobs": [], "doc_id": 1}, "line 3: 'logprobs' must be a list"),
        ({"logprobs": -1.5, "doc_id": 1}, "line 3: 'logprobs' must be a list"),
        ({"logprobs": [-1, "-2"], "doc_id": 1}, "line 3: 'logprobs' holds '-2' at place 1"),
        ({"logprobs": [-1, True], "doc_id": 1}, "line 3: 'logprobs' holds True at place 1"),
        ({"logprobs": [[-1], -2], "doc_id": 1}, "line 3: 'logprobs' holds [-1] at place 0"),
        ('{"logprobs": [-1, NaN], "doc_id": 1}', "line 3: 'logprobs' holds nan at place 1"),
        ('{"logprobs": [-Infinity], "doc_id": 1}', "line 3: 'logprobs' holds -inf at place 0"),
        ('{"logprobs": [-1e999], "doc_id": 1}', "line 3: "),
        ({"logprobs": [-1]}, "line 3: give 'doc_id'"),
    ],
)
def test_a_wrong_line_is_named(
    recording: Callable[..., Path], row: dict[str, Any] | str, message: str
) -> None:
    path = recording(GOOD, "", row)
    with pytest.raises(OlmesError) as caught:
        read_recorded(path)
    assert f"{path}, {message}" in str(caught.value)


def test_a_recording_without_rows_or_without_a_file_is_refused(
    recording: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(OlmesError, match="holds no responses"):
        read_recorded(recording(""))
    with pytest.raises(OlmesError, match="does not exist"):
        read_recorded(tmp_path / "none.jsonl")


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_rows_are_read_again_by_their_offset(recording: Callable[..., Path], name: str) -> None:
    path = recording(GOOD, "", {"response": "b\u2028\ud800", "doc_id": 1}, name=name)
    recorded = RecordedResponses(path)
    offsets = [offset for offset, _ in recorded]
    assert [row for _, row in recorded] == read_recorded(path)
    assert [recorded.at(offset).text for offset in reversed(offsets)] == ["b\u2028\ud800", "a"]
    assert recorded.source_of(offsets[1]) == f"{path}, line 3"


def test_the_model_gives_back_what_was_recorded(recording: Callable[..., Path]) -> None:
    path = recording(GOOD)
    first = Request(generation=Generation(max_tokens=3), prompt="one")
    second = Request(generation=Generation(max_tokens=3), prompt="one", repeat=1)
    given = Response(text="a", completion_tokens=1)
    model = ReplayModel("replay:x", path, {request_key(first): given})
    found: dict[int, Response] = {}
    model.generate([second, first], found.__setitem__)
    assert found[1] == given
    assert (found[0].finish, found[0].error) == ("error", "no recorded response")
    assert not model.cacheable


def test_a_text_has_no_probabilities(recording: Callable[..., Path]) -> None:
    request = Request(generation=Generation(max_tokens=1), prompt="a", continuations=("b",))
    found: dict[int, Response] = {}
    ReplayModel("r", recording(GOOD)).loglikelihood([request, request], found.__setitem__)
    assert [found[i].finish for i in (0, 1)] == ["error", "error"]


def test_the_fingerprint_is_the_files_content(
    recording: Callable[..., Path], tmp_path: Path
) -> None:
    path = recording(GOOD)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())
    assert ReplayModel("a", path).fingerprint == ReplayModel("b", copy).fingerprint
    copy.write_text("x")
    assert ReplayModel("a", path).fingerprint != ReplayModel("b", copy).fingerprint
    assert ReplayModel("a", path).engine == {"backend": "replay"}


def test_a_prompt_is_shown_as_plain_turns(recording: Callable[..., Path]) -> None:
    request = Request(
        generation=Generation(max_tokens=1),
        messages=({"role": "user", "content": "Why?"},),
        prefill="Answer:",
    )
    assert ReplayModel("r", recording(GOOD)).encode(request).text == "user: Why?\nAnswer:"
