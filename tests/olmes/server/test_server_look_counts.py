"""How many looks went before one, counted over every ledger that a server has."""

from __future__ import annotations

import time as clock
from typing import Any

import pytest

from olmes.seal.counting import BY_A_PERSON, LOOKS
from olmes.server.store.kept_line import KeptLine
from olmes.server.store.look_counts import back_in_time, looks_before


def line(
    number: int, *, chain: str = "a", time: str = "2026-11-01T10:00:00Z", event: str = "run",
    arrived: str = "", follows: str | None = None, **facts: Any,
) -> KeptLine:  # fmt: skip
    own = f"{chain}{number}"
    previous = follows if follows is not None else f"{chain}{number - 1}" if number > 1 else ""
    entry = {"number": number, "time": time, "event": event, "run": own, "hash": own, **facts}
    return KeptLine(
        entry=entry, chain=chain, hash=own, previous=previous, time=time, brought_by="ann",
        arrived=arrived, parts=False,
    )  # fmt: skip


def test_looks_are_counted_over_all_ledgers_by_weights_family_and_lineage() -> None:
    lines = [
        line(1, chain="a", time="2026-11-01T10:00:00Z", family="sft", fingerprint="f1"),
        line(2, chain="a", time="2026-11-04T10:00:00Z", family="sft", fingerprint="f2"),
        line(1, chain="b", time="2026-11-02T10:00:00Z", family="sft", fingerprint="f3"),
        line(2, chain="b", time="2026-11-03T10:00:00Z", family="renamed", fingerprint="f1"),
        line(
            1, chain="c", time="2026-11-05T10:00:00Z", family="dpo", fingerprint="f9",
            lineage=[{"base": "org/base"}, {"training": "sft"}, {"training": "dpo", "step": 20}],
        ),
        line(
            1, chain="d", time="2026-11-05T11:00:00Z", family="merged", fingerprint="f10",
            lineage=[{"base": "/anywhere/dpo/checkpoint-20"}],
        ),
        line(2, chain="c", time="2026-11-06T10:00:00Z", family="sft", fingerprint="f4"),
        line(3, chain="c", time="2026-11-06T11:00:00Z", family="apart", fingerprint="f5"),
    ]  # fmt: skip
    assert looks_before(lines) == {
        "a1": 0, "b1": 1, "b2": 1, "a2": 2, "c1": 3, "d1": 1, "c2": 3, "c3": 0,
    }  # fmt: skip


@pytest.mark.parametrize("event", sorted(set(LOOKS) - set(BY_A_PERSON)))
def test_looks_of_every_kind_count_and_other_lines_do_not(event: str) -> None:
    lines = [
        line(1, event=event, family="x"),
        line(2, event="result"),
        line(3, event="remark", family="x"),
        line(4, family="x", sample_data=True),
        line(5, family="x"),
    ]
    assert looks_before(lines) == {"a1": 0, "a4": 1, "a5": 1}


def test_items_that_people_read_count_for_every_model() -> None:
    lines = [
        line(1, event="show", family="", fingerprint=""),
        line(2, event="score", family="y", fingerprint="fy"),
        line(1, chain="b", event="check"),
        line(2, chain="b", family="x", fingerprint="fx"),
    ]
    assert looks_before(lines) == {"a1": 0, "a2": 1, "b1": 1, "b2": 2}


def test_a_clock_that_is_set_back_hides_no_look() -> None:
    lines = [
        line(1, family="x", time="2026-11-05T10:00:00Z"),
        line(2, family="x", time="2019-01-01T00:00:00Z"),
        line(3, family="x", time="no time at all"),
        line(4, family="x", time="2026-11-05T10:00:30Z"),
        line(1, chain="b", family="x", time="2020-01-01T00:00:00Z"),
        line(1, chain="c", family="x", time="2099-01-01T00:00:00Z", arrived="2026-11-04T10:00:00Z"),
    ]
    assert looks_before(lines) == {"b1": 0, "c1": 1, "a1": 2, "a2": 3, "a3": 4, "a4": 5}
    assert back_in_time(lines) == {"a2", "a3"}


def test_odd_facts_of_a_line_count_for_nothing() -> None:
    odd: list[Any] = [None, 3, ["x"], {"x": 1}, True]
    lines = [
        line(n, family=value, fingerprint=value, lineage=value, sample_data=value)
        for n, value in enumerate(odd, start=1)
    ]
    lines.append(line(6, family="x", lineage=[3, {"base": 4, "training": ["x"]}]))
    assert looks_before(lines)["a6"] in (0, 1)


def test_ten_thousand_looks_are_counted_quickly() -> None:
    lines = [line(n, family="x", fingerprint=f"f{n % 50}") for n in range(1, 10_001)]
    start = clock.process_time()
    assert looks_before(lines)["a10000"] == 9_999
    assert clock.process_time() - start < 5
