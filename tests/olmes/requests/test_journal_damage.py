"""A damaged journal: each damaged line costs its own response and no other, and none stops a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.requests.journal import FILE_NAME, Journal, journaled_items
from olmes.requests.stored_response import MOST_BYTES, pack
from olmes.tools import notices
from olmes.types import Response
from tests.factories import VOLATILE
from tests.olmes.requests.conftest import Sayer

if TYPE_CHECKING:
    from olmes import Record
    from tests.olmes.requests.conftest import RunOn

WORDS = [f"word{number}" for number in range(12)]
Lines = list[bytes]
Damage = Callable[[Lines], Lines]
"""What happens to the lines of a journal, whose tenth is struck as a rule."""


@pytest.fixture(autouse=True)
def unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "SAID", set())


def tenth(change: Callable[[bytes], bytes]) -> Damage:
    return lambda lines: [*lines[:9], change(lines[9]), *lines[10:]]


def row(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """The tenth line with other JSON in it."""

    def changed(line: bytes) -> bytes:
        found = json.loads(line)
        return json.dumps(change(found) or found).encode() + b"\n"

    return tenth(changed)


def response(**fields: Any) -> Damage:
    """The tenth response with other fields, open as it is or packed."""

    def changed(line: bytes) -> bytes:
        found = json.loads(line)
        odd = Response(text="odd").to_json() | fields
        if "packed" not in found:
            return json.dumps({**found, "response": odd}).encode() + b"\n"
        fake: Any = type("Odd", (), {"to_json": lambda self: odd})()
        return json.dumps({**found, "packed": pack(fake)}).encode() + b"\n"

    return tenth(changed)


def flipped(at: int) -> Damage:
    """One byte of the tenth line with one bit turned."""
    return tenth(lambda line: line[:at] + bytes([line[at] ^ 0x80]) + line[at + 1 :])


ANYHOW: dict[str, Damage] = {
    "five": tenth(lambda _: b"5\n"),
    "list": tenth(lambda _: b"[]\n"),
    "null": tenth(lambda _: b"null\n"),
    "other object": tenth(lambda _: b'{"x": 1}\n'),
    "item alone": row(lambda found: {"item": found["item"]}),
    "item is a number": row(lambda found: {**found, "item": 7}),
    "both forms": row(lambda found: {**found, "packed": "x", "response": {}}),
    "response is a list": row(lambda found: {"item": found["item"], "response": []}),
    "packed is a number": row(lambda found: {"item": found["item"], "packed": 5}),
    "packed is no base64": row(lambda found: {"item": found["item"], "packed": "\u00e4{"}),
    "packed is no zlib": row(lambda found: {"item": found["item"], "packed": "AAAA"}),
    "half": tenth(lambda line: line[: len(line) // 2] + b"\n"),
    "zeros": tenth(lambda line: bytes(len(line) - 1) + b"\n"),
    "deep": tenth(lambda _: b"[" * 200_000 + b"\n"),
    "no UTF-8": flipped(12),
    "flipped end": flipped(-4),
    "huge number": tenth(lambda _: b'{"item": ' + b"9" * 10_000 + b"}\n"),
    "text is a number": response(text=5),
    "no text": response(text=None),
    "tokens are text": response(prompt_tokens="3"),
    "tokens are huge": response(completion_tokens=10**400),
    "tokens are negative": response(completion_tokens=-1),
    "finish unknown": response(finish="bored"),
    "logprobs are text": response(logprobs="abc"),
    "failed": response(error="out of memory"),
    "of a newer olmes": response(mood="fine"),
    "line of a newer olmes": row(lambda found: {**found, "mood": "fine"}),
}


def written(folder: Path, packed: bool) -> Lines:
    """The lines of a journal of eleven responses."""
    journal = Journal(folder, packed=packed)
    for number, word in enumerate(WORDS[:11]):
        journal.append(f"echo/{number}#0:ab", Response(text=word, completion_tokens=number))
    journal.close()
    return (folder / FILE_NAME).read_bytes().splitlines(keepends=True)


def answered(folder: Path, packed: bool) -> dict[str, str]:
    """What is in a journal that is opened again."""
    journal = Journal(folder, packed=packed)
    found = {item: response.text for item, response in journal.responses.items()}
    assert all(item in journal.responses for item in found)
    journal.close()
    return found


def texts(*lost: int) -> dict[str, str]:
    kept = [number for number in range(11) if number not in lost]
    return {f"echo/{number}#0:ab": WORDS[number] for number in kept}


@pytest.mark.parametrize("packed", [False, True], ids=["open", "packed"])
@pytest.mark.parametrize("damage", ANYHOW.values(), ids=ANYHOW)
def test_a_damaged_line_costs_its_response_alone(
    tmp_path: Path, damage: Damage, packed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    struck = b"".join(damage(written(tmp_path, packed)))
    (tmp_path / FILE_NAME).write_bytes(struck)
    assert answered(tmp_path, packed) == texts(9)
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(f"olmes: line 10 of {tmp_path / FILE_NAME} is ")
    assert said.endswith(" and is asked again.")
    assert journaled_items(tmp_path) == texts(9).keys()
    # What is asked again stands behind it, and the file that was there is not touched.
    journal = Journal(tmp_path, packed=packed)
    journal.append("echo/9#0:ab", Response(text="word9"))
    journal.close()
    assert (tmp_path / FILE_NAME).read_bytes().startswith(struck)
    assert answered(tmp_path, packed) == texts()


@pytest.mark.parametrize("packed", [False, True], ids=["open", "packed"])
@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (lambda lines: [*lines[:5], b"\n", b" \r\n", *lines[5:]], []),
        (lambda lines: [*lines[:9], lines[9][:-1] + b"\x8a", lines[10]], []),
        (lambda lines: [*lines[:9], lines[9][:-1], lines[10]], []),
        (lambda lines: [*lines[:9], lines[9][:-9], lines[10]], [9]),
        (lambda lines: [*lines[:9], bytes(4000) + lines[9], lines[10]], []),
        (lambda lines: [*lines[:10], lines[10][:-1]], [10]),
        (lambda lines: [*lines[:9], lines[9][:-1], lines[10][:-1]], [10]),
        (lambda lines: [*lines[:9], lines[9][:-1] + b"\x8a", lines[10][:40]], [10]),
        (lambda lines: [*lines[:10], lines[10][:-5]], [10]),
        (lambda lines: [*lines, bytes(5000)], []),
        (lambda lines: [*lines, lines[3], lines[2]], []),
        (lambda lines: [*lines, lines[3][:30] + b"\n"], []),
        (lambda lines: [b"5\n", *lines[:3], b"[]\n", *lines[4:8], b"{\n", *lines[9:]], [3, 8]),
    ],
    ids=["blank lines", "line break flipped", "line break lost", "end lost", "zeros before",
         "last break lost", "last two lost", "torn behind a flipped one", "torn tail",
         "zeros at the end", "duplicates", "damaged duplicate", "several"],
)  # fmt: skip
def test_lines_beside_the_damage_stay(
    tmp_path: Path, damage: Damage, lost: list[int], packed: bool
) -> None:
    lines = written(tmp_path, packed)
    struck = damage(lines)
    (tmp_path / FILE_NAME).write_bytes(b"".join(struck))
    assert answered(tmp_path, packed) == texts(*lost)
    journal = Journal(tmp_path, packed=packed)
    journal.append("behind", Response(text="it"))
    journal.close()
    assert answered(tmp_path, packed) == texts(*lost) | {"behind": "it"}
    kept = (tmp_path / FILE_NAME).read_bytes()
    assert all(line in kept for line in struck if line in lines)


def outcome(record: Record) -> dict[str, Any]:
    found = json.loads((record.folder / "run.json").read_bytes())
    return {name: value for name, value in found.items() if name not in VOLATILE}


@pytest.mark.parametrize("look", [None, "final"], ids=["open", "packed"])
def test_a_run_asks_again_for_what_is_damaged_and_ends_as_ever(
    run_on: RunOn, tmp_path: Path, look: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_on(Sayer(stop_after=11), "runs", look, use_cache=False)
    [journal] = tmp_path.glob(f"runs/*/{FILE_NAME}")
    lines = journal.read_bytes().splitlines(keepends=True)
    struck = [*lines[:3], b"5\n", *lines[4:9], lines[9][:-20] + b"\n", lines[10]]
    journal.write_bytes(b"".join(struck))
    model = Sayer()
    record = run_on(model, "runs", look, use_cache=False)
    assert model.asked == ["word3", "word9", "word11"]
    assert f"lines 4, 10 of {journal} are damaged and are asked again." in capsys.readouterr().err
    assert outcome(record) == outcome(run_on(Sayer(), "undisturbed", look, use_cache=False))


def test_a_line_without_an_end_is_not_held_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path)
    journal.append("a", Response(text="first"))
    journal.close()
    path = tmp_path / FILE_NAME
    with path.open("r+b") as stream:
        stream.seek(0, 2)
        stream.truncate(stream.tell() + 8 * MOST_BYTES)  # sparse: no room is taken
        stream.seek(0, 2)
        stream.write(b"\n")
    import tracemalloc

    tracemalloc.start()
    again = Journal(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * MOST_BYTES
    assert "line 2 of" in capsys.readouterr().err
    again.append("b", Response(text="second"))
    again.close()
    last = Journal(tmp_path)
    assert {item: found.text for item, found in last.responses.items()} == {
        "a": "first",
        "b": "second",
    }
    last.close()
    assert journaled_items(tmp_path) == {"a", "b"}


def test_a_response_that_weighs_other_continuations_is_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from olmes.types import Generation, Request

    request = Request(prompt="a", continuations=("x", "y"), generation=Generation(max_tokens=1))
    journal = Journal(tmp_path)
    journal.append("a", Response(logprobs=(-1.0,)))
    journal.append("b", Response(logprobs=(-1.0, float("nan"))))
    journal.close()
    again = Journal(tmp_path)
    assert again.responses.response("a", request) is None
    assert again.responses.response("b", request) is not None
    assert "asked again" in capsys.readouterr().err
    again.close()


def test_many_damaged_lines_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"5\n" * 200)
    Journal(tmp_path).close()
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"olmes: lines 1, 2, 3, 4, 5 and 195 more of {tmp_path / FILE_NAME} are damaged and are "
        "asked again."
    ]
