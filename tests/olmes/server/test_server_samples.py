"""Samples are read within bytes and time, and found by the same words as before."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from olmes.records.record import VERDICT
from olmes.server.intake.sample_rows import checked_row, holds
from olmes.server.store.artifacts import Artifacts
from olmes.server.store.drawn_rows import LONGEST_ROW, SHORTEST_ROW, drawn, room_for_each
from olmes.server.store.sample_parts import SMALL, Parcel
from olmes.server.store.sample_reading import Room, SampleFilter, SampleReading

ODD = (
    "plain words", "KELVIN \u212a and \u0130stanbul", "caf\u00e9", "line\nbreak\tand \\frac{a}{b}",
    'quoted "words"', "\ud83d alone", "bell\x07 form\x0cfeed \x7f", "none", "Nanny", "infinite", "",
)  # fmt: skip
GOLD: tuple[Any, ...] = (
    None, True, 1e16, 12, "none", ["a", "it's"], {"true": None}, ["\x0cabc"], [1e-7], "18",
)  # fmt: skip
WORDS = (
    "plain", "PLAIN words", "k", "kelvin", "istanbul", "caf\u00e9", "nbreak", "break", "frac", "none",
    "non", "nan", "inf", "true", "e+16", "it's", "'a', ", "cabc", "abc", "feed", "x7f", "quoted \"w",
    "ud83d", "alone", "18", "zebra", "e", "false", "{'true': none}",
)  # fmt: skip


def row(number: int, text: str, gold: Any = "18", **more: Any) -> dict[str, Any]:
    return {
        "doc_id": number, "doc_hash": f"{number:08x}", "subtask": "", "repeat": 0,
        "prompt_hash": "0", "messages": [{"role": "user", "content": "Q"}], "gold": gold,
        "values": {"exact_match": float(number % 2)}, "extracted": None, "flags": [],
        "response": {"text": text}, **more,
    }  # fmt: skip


def kept(folder: Path, lines: list[bytes]) -> tuple[Artifacts, str]:
    artifacts = Artifacts(str(folder / "artifacts"))
    return artifacts, artifacts.keep(lines, "samples", "exact_match").artifact


def test_words_are_found_where_reading_every_row_finds_them(tmp_path: Path) -> None:
    rows = [
        row(at, text, gold) for at, (text, gold) in enumerate((t, g) for t in ODD for g in GOLD)
    ]
    lines = [json.dumps(one, ensure_ascii=at % 2 == 0).encode("utf-8", "surrogatepass")
             if "\ud83d" not in one["response"]["text"] else json.dumps(one).encode()
             for at, one in enumerate(rows)]  # fmt: skip
    # Letters may be escaped although they need not be.
    lines += [json.dumps(row(900, "hidden")).encode().replace(b"hidden", b"\\u007aebra")]
    artifacts, name = kept(tmp_path, lines)
    for words in WORDS:
        expected = [
            at for at, one in enumerate(lines) if holds(checked_row(one, ""), words.lower())
        ]
        reading = SampleReading(artifacts, name, SampleFilter(words=words), 0, Room(rows=1000))
        assert [at for at, _ in reading] == expected, words
        assert reading.following is None


@pytest.mark.parametrize("seed", range(2))
def test_readings_one_after_the_other_give_every_row_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    lines = [
        json.dumps(row(at, "x" * chance.choice((1, 10, 5000)), flags=["a"] * chance.randrange(2)))
        .encode()
        for at in range(2300)
    ]  # fmt: skip
    artifacts, name = kept(tmp_path, lines)
    wanted = SampleFilter(flag=chance.choice((None, "a")), verdict=chance.choice((None, "right")))
    expected = [
        (at, one) for at, one in enumerate(lines)
        if (wanted.flag is None or b'["a"]' in one) and (wanted.verdict is None or at % 2)
    ]  # fmt: skip
    found: list[tuple[int, bytes]] = []
    start: int | None = 0
    while start is not None:
        room = Room(
            rows=chance.choice((1, 7, 500)), size=chance.choice((1, 20_000, 1 << 20)),
            searched=chance.choice((1, 30, 10_000)), seconds=chance.choice((0.0, 0.001, 60.0)),
        )  # fmt: skip
        reading = SampleReading(artifacts, name, wanted, start, room)
        part = list(reading)
        assert len(part) <= room.rows
        assert len(part) <= 1 or sum(len(line) for _, line in part) <= room.size
        assert reading.following is None or reading.following > start
        found, start = found + part, reading.following
    assert found == expected


def test_a_row_beyond_the_limit_is_read_alone(tmp_path: Path) -> None:
    lines = [json.dumps(row(at, "y" * (9 << 20 if at == 1 else 9))).encode() for at in range(3)]
    artifacts, name = kept(tmp_path, lines)
    places, start = [], 0
    for _ in range(3):
        reading = SampleReading(artifacts, name, SampleFilter(), start, Room(rows=500))
        places.append([at for at, _ in reading])
        start = reading.following or 0
    assert places == [[0], [1], [2]]


def test_what_is_large_is_handed_over_in_a_file(tmp_path: Path) -> None:
    for pieces in ([b"a"] * 3, [b"b" * SMALL, b"c" * SMALL, b"d"], [b"e" * (SMALL + 1)]):
        parcel = Parcel(tmp_path)
        for piece in pieces:
            parcel.add(piece)
        body, path = parcel.close()
        whole = b"".join(pieces)
        assert (Path(path).read_bytes() if path else body) == whole
        assert bool(path) == (len(whole) > SMALL)


@pytest.mark.parametrize("rows", [3, 100_000])
def test_pages_draw_long_rows_cut_and_count_them_as_they_are(rows: int) -> None:
    room = room_for_each(rows)
    assert SHORTEST_ROW <= room <= LONGEST_ROW
    long = "\u00e9 word " * 45_000
    odd = [
        row(1, long), row(2, "short"), row(3, "", gold=[long] * 9), row(4, "\ud83d" + long),
        row(5, "", parts=[{"id": str(at), "kwargs": {}, "value": 1.0} for at in range(3000)]),
        row(6, "", messages=[{"role": "user", "content": f"turn {at}"} for at in range(9000)]),
        row(7, "", unknown={str(at): "x" for at in range(40_000)}),
    ]  # fmt: skip
    lines = [json.dumps(one).encode() for one in odd]
    for before, line, after in zip(odd, lines, drawn(lines, rows), strict=True):
        assert len(after) <= room
        if len(line) <= room:
            assert after == line
        short = json.loads(after)
        assert {name: short.get(name) for name in VERDICT} == {n: before.get(n) for n in VERDICT}
        assert short["flags"] == before["flags"]
    text = json.loads(next(drawn(lines, rows)))["response"]["text"]
    assert "characters left out here" in text
    assert text.startswith(long[:20])
    assert text.endswith(long[-20:])


def test_a_group_of_sub_tasks_is_asked_for_by_its_name() -> None:
    def taken(subtask: str) -> list[str]:
        rows = ["jail:benign", "jail:harmful", "jailer", "jail", ""]
        return [row for row in rows if SampleFilter(subtask=subtask).takes(row, [], 1.0, 0)]

    assert taken("jail") == ["jail:benign", "jail:harmful", "jail"]
    assert taken("jail:benign") == ["jail:benign"]
    assert taken("") == [""]
