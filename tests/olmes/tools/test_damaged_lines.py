"""Files that rows are appended to, and files that somebody gives: what damage to a line costs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from olmes import OlmesError
from olmes.judging.replayed import replayed_judge
from olmes.tools import jsonl, notices, owner_files
from olmes.tools.appended_rows import append, readable_rows

BAD = [b"{oops", b"5", b"[]", b"null", b'"text"', b"\xff\xfe{}", b"[" * 100_000, b'{"a": 1}x']


@pytest.fixture(autouse=True)
def unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "SAID", set())


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_damaged_row_is_left_out_and_told_by_its_number(
    tmp_path: Path, bad: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train_log.jsonl"
    path.write_bytes(b'{"step": 1}\n\n' + bad + b'\n{"step": 2, "text": "a\xe2\x80\xa8b"}\n')
    assert readable_rows(path) == [{"step": 1}, {"step": 2, "text": "a\u2028b"}]
    assert capsys.readouterr().err == f"olmes: line 3 of {path} is damaged and is left out.\n"


def test_a_torn_last_line_is_not_spoken_of_and_nothing_is_lost_behind_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gates.jsonl"
    assert readable_rows(path) == []
    append(path, {"step": 1})
    with path.open("ab") as stream:
        stream.write(b'{"step": 2, "lo')
    assert readable_rows(path) == [{"step": 1}]
    assert capsys.readouterr().err == ""
    append(path, {"step": 2, "text": "cut \ud83d"})
    append(path, {"step": 3})
    rows = [{"step": 1}, {"step": 2, "text": "cut \ud83d"}, {"step": 3}]
    assert readable_rows(path) == rows


@pytest.mark.parametrize("bad", BAD[:1] + BAD[5:], ids=range(4))
def test_a_recording_with_a_damaged_line_is_refused_by_its_number(
    tmp_path: Path, bad: bytes
) -> None:
    from olmes.models.replay import RecordedResponses

    path = tmp_path / "recording.jsonl"
    path.write_bytes(b'{"response": "a", "doc_id": 0}\n' + bad + b"\n")
    for read in (jsonl.read, jsonl.scan, RecordedResponses):
        with pytest.raises(OlmesError, match="line 2: not JSON|cannot be read"):
            list(read(path))


def test_stored_judgements_of_another_form_are_no_judgements(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    odd = [{"judgements": 5}, {"judgements": [1, None]}, {"judgements": {"a": 1}}, 7, {"text": 5}]
    path.write_text("".join(json.dumps(row) + "\n" for row in odd))
    with pytest.raises(OlmesError, match="holds no judgement"):
        replayed_judge("replay:judged", path)


@pytest.mark.parametrize(
    "said",
    [b"5", b"[]", b'{"pid": Infinity, "host": "", "started": ""}', b"[" * 100_000,
     b'{"pid": 1e400, "host": "", "started": ""}', b'{"pid": 0, "host": "", "started": ""}',
     b'{"pid": -1, "host": "", "started": ""}', b"\xff\xff",
     json.dumps({"pid": 10**30, "host": owner_files.host(), "started": ""}).encode()],
    ids=range(9),
)  # fmt: skip
def test_an_owner_file_that_names_nobody_is_taken_over_when_it_is_old(
    tmp_path: Path, said: bytes
) -> None:
    path = tmp_path / "journal.jsonl"
    owner = path.with_name(path.name + owner_files.SUFFIX)
    owner.write_bytes(said)
    assert owner_files.take(path) is None  # its maker may be about to write
    past = owner.stat().st_mtime - 2 * owner_files.UNWRITTEN
    os.utime(owner, (past, past))
    taken = owner_files.take(path)
    assert taken is not None
    taken.release()
