"""Samples packed for a page, and unpacked again."""

from __future__ import annotations

import base64
import gzip
import json
import math
from typing import Any

from olmes.records.check import converted
from olmes.records.schema import ResponseRow, TaskResult
from olmes.reports.sample_scripts import holds_latex
from olmes.reports.samples import (
    ALL,
    CHUNK_CHARS,
    SHOWN,
    PackedTask,
    ShownSamples,
    javascript_safe,
    pack,
    pack_task,
)
from tests.factories import response_row, score_json, task_json


def unpack(blob: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(blob)))


def task(*metrics: str, honest: str = "", number: str = "") -> TaskResult:
    """A task whose primary metric is `em`."""
    described = {name: score_json(0.5) for name in ("em", *metrics)}
    if honest:
        described[honest] = score_json(0.5) | {"honest": True}
    if number:
        described[number] = score_json(0.5) | {"unit": "number"}
    return converted(task_json(primary="em", metrics=described), TaskResult)


def packed(
    rows: list[ResponseRow], of: TaskResult | None = None, shown: ShownSamples = ALL
) -> PackedTask:
    return pack_task(rows, of or task(), shown)


def row(doc_id: int, content: str = "Question: why?", **fields: Any) -> ResponseRow:
    messages = [{"role": "user", "content": content}]
    return response_row(**{"doc_id": doc_id, "messages": messages, "values": {"em": 1.0}} | fields)


def turns(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}, {"role": "assistant", "content": text}]


def test_every_row_comes_back_in_its_order() -> None:
    rows = [row(at, f"{at} " + "words " * 500, gold={"a": [at]}) for at in range(200)]
    made = packed(rows)
    chunks = [unpack(chunk) for chunk in made.chunks]
    assert len(chunks) > 2
    assert [each for chunk in chunks for each in chunk["rows"]] == rows
    ends = [start + len(chunk["rows"]) for start, chunk in zip(made.starts, chunks, strict=True)]
    assert list(made.starts) == [0, *ends[:-1]]
    assert all(len(json.dumps(chunk)) < 2 * CHUNK_CHARS for chunk in chunks)


def test_turns_before_the_last_are_kept_once_a_chunk() -> None:
    own = [*turns("one"), {"role": "user", "content": "q"}]
    other = [*turns("two"), {"role": "user", "content": "q"}]
    made = packed([row(at, messages=own if at % 2 else other) for at in range(10)])
    (chunk,) = (unpack(chunk) for chunk in made.chunks)
    assert chunk["shots"] == [turns("two"), turns("one")]
    assert [each["shots"] for each in chunk["rows"]] == [0, 1] * 5
    assert all(len(each["messages"]) == 1 for each in chunk["rows"])


def test_of_many_samples_the_first_responses_to_each_item_are_held_and_all_are_counted() -> None:
    rows = [row(at, repeat=repeat, flags=["empty"]) for at in range(30) for repeat in range(10)]
    made = packed(rows, shown=ShownSamples(rows=50, repeats=2))
    index = unpack(made.index)
    assert index["doc"] == [at for at in range(25) for _ in range(2)]
    assert index["repeat"] == [0, 1] * 25
    assert (made.rows, made.flags) == (50, {"empty": 300})
    held = [each for chunk in made.chunks for each in unpack(chunk)["rows"]]
    assert [each["doc_id"] for each in held] == index["doc"]
    assert ShownSamples.of(SHOWN, 10).has(row(0, repeat=9), SHOWN)
    assert ShownSamples.of(1_000_000, 1_000) == ShownSamples(SHOWN, 20, 2_000)
    assert ShownSamples.of(1_000_000, 1) == ShownSamples(SHOWN, 1, 2_000)


def test_no_samples_make_no_chunk() -> None:
    made = packed([])
    assert (made.chunks, made.starts, made.values) == ((), (), ())
    assert unpack(made.index)["doc"] == []


def test_the_index_holds_what_is_filtered_by() -> None:
    rows = [
        row(0, values={"em": 1.0, "parts": [True, False], "length": 0.5}, flags=["truncated"]),
        row(1, values={"em": False, "parts": [], "length": 1.0}, subtask="algebra", repeat=2),
        row(2, values={}),
    ]
    made = packed(rows, task("parts", number="length"))
    index = unpack(made.index)
    assert index["values"] == {"em": [1.0, 0.0, None], "parts": [0.5, None, None]}
    assert made.values == ("em", "parts")  # a length is not a verdict, not even where it is 1
    assert index["flags"] == [["truncated"], [], []]
    assert (index["doc"], index["subtask"], index["repeat"]) == (
        [0, 1, 2],
        ["", "algebra", ""],
        [0, 2, 0],
    )
    assert made.flags == {"truncated": 1}


def test_disputed_samples_are_those_on_which_an_honest_metric_differs() -> None:
    verdicts = [(1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, None)]
    rows = [row(at, values={"em": em, "fair": fair}) for at, (em, fair) in enumerate(verdicts)]
    assert packed(rows, task("fair")).flags == {}
    made = packed(rows, task(honest="fair"))
    assert unpack(made.index)["flags"] == [[], ["disputed"], ["disputed"], []]
    assert made.flags == {"disputed": 2}


def test_a_line_leaves_out_the_instructions_every_item_begins_with() -> None:
    start = "Answer the following question.\nQuestion: "
    rows = [row(at, start + text) for at, text in enumerate(("What is\nthis?", "Where is it?"))]
    assert unpack(packed(rows).index)["line"] == ["What is this?", "Where is it?"]
    assert unpack(packed(rows[:1]).index)["line"] == [" ".join((start + "What is this?").split())]


def test_numbers_that_javascript_cannot_read_are_text() -> None:
    value = {"a": [math.nan, -math.inf, 2**53, 2**60, 0.5, True, None], "b": ("x",)}
    assert javascript_safe(value) == {
        "a": ["NaN", "-Infinity", 2**53, str(2**60), 0.5, True, None],
        "b": ["x"],
    }


def test_packing_is_the_same_every_time_and_holds_any_text() -> None:
    value = {"text": "lone \ud800, null \0, </script>, 日本"}
    assert pack(value) == pack(value)
    assert unpack(pack(value)) == value


def test_kinds_of_instructions_and_what_is_extracted_are_known() -> None:
    def judged(at: int, *strict: bool, **fields: Any) -> ResponseRow:
        parts = [{"id": f"kind:{k}", "strict": one, "loose": True} for k, one in enumerate(strict)]
        return row(at, values={"em": 1.0, "inst": list(strict)}, parts=parts, **fields)

    made = packed([judged(0, True, False), judged(1, False)], task("inst"))
    assert made.parts == ("kind:0", "kind:1")
    assert unpack(made.index)["parts"] == [[[0, 1], [1, 0]], [[0, 0]]]
    assert not made.extracts
    evidence = [{"id": "test_1", "strict": True, "loose": True}]
    made = packed([row(0, parts=evidence, extracted="4")])
    assert (made.parts, made.extracts) == ((), True)
    assert packed([row(0, flags=["unparsed"])]).extracts


def test_mathematics_is_told_from_prices() -> None:
    assert holds_latex(r"so \boxed{4}")
    assert holds_latex("$x^2$ is")
    assert not holds_latex("It costs $5, or $10 = 2 * $5 for two_of them.")
    assert not holds_latex("$" + "_" * 100_000), "and in no time"
