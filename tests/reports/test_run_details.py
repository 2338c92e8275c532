"""Sub-tasks, lengths, time and cost on the page of a run."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from olmes.benchmark.registry import load_task
from olmes.records.check import converted, run_record
from olmes.records.diagnosis import Diagnosis
from olmes.records.schema import Cost, DiagnosisCounts, TaskResult
from olmes.reports.cost import run_cost
from olmes.reports.format_cost import flag_lost, format_cost
from olmes.reports.lengths import BINS, ResponseLengths, length_view
from olmes.reports.links import samples_link
from olmes.reports.run_page import write_run_page
from tests.factories import response_row, run_json, score_json, task_json


def task(*, honest: str = "", **fields: Any) -> TaskResult:
    metrics = {"exact_match": score_json(0.5)}
    if honest:
        metrics[honest] = score_json(0.5) | {"honest": True}
    described: dict[str, Any] = {
        "metrics": metrics,
        "n": 4,
        "tokens": {"prompt": 900, "completion": 160},
        "counts": {"truncated": 2},
        "formulation": {"generation": {"max_tokens": 100}},
    }
    return converted(task_json(**described | fields), TaskResult)


def test_lengths_and_their_histogram() -> None:
    view = length_view("gsm8k", task(), {30: 1, 10: 1, 100: 1, 20: 1}, samples_link)
    assert view is not None
    assert (view.mean, view.median, view.longest, view.limit) == ("40", "25", "100", "100")
    assert (view.truncated, view.truncated_share) == ("2", "50.0 %")
    assert view.truncated_link == "#task=gsm8k&flag=truncated"
    assert len(view.bins) == 4
    assert max(bin_.x + bin_.width for bin_ in view.bins) <= 100
    assert {bin_.height for bin_ in view.bins} == {24}
    assert len(view.bins) < BINS
    assert view.bins[-1].x + view.bins[-1].width > 99, "what reaches the limit stands at the end"


def test_of_sealed_samples_only_the_sum_is_known() -> None:
    view = length_view("gsm8k", task(), {}, samples_link)
    assert view is not None
    assert (view.mean, view.median, view.longest, view.bins) == ("40", "–", "–", ())


def test_what_is_not_generated_has_no_length() -> None:
    nothing = {"prompt": 900, "completion": 0}
    assert length_view("truthfulqa", task(tokens=nothing), {}, samples_link) is None


def test_lengths_are_counted_as_rows_pass_without_what_failed() -> None:
    responses: list[Any] = [{"text": "", "completion_tokens": 7}] * 3
    responses += [None, {"text": "", "completion_tokens": 1, "error": "reset"}]
    lengths = ResponseLengths()
    for response in responses:
        lengths.see("a", response_row(response=response))
    assert lengths.of("a") == {7: 3}
    assert lengths.of("under seal") == {}


def test_cost_adds_up() -> None:
    judge = {
        "model": None,
        "budget": None,
        "judgements": 1,
        "tokens": {"prompt": 50, "completion": 5},
    }
    tasks = {"a": task(), "b": task(judge=judge)}
    cost = run_cost(replace(run_record(run_json()), tasks=tasks, timing={"answer_s": 32.0}))
    assert [(line.prompt, line.completion, line.judge) for line in (*cost.lines, cost.total)] == [
        ("900", "160", "–"),
        ("900", "160", "55"),
        ("1,800", "320", "55"),
    ]
    assert cost.times == (("answering", "32.0 s"),)
    assert cost.speed == ""  # an older record does not say what came from the cache
    spent = Cost(prefill_tokens=20_000, decode_tokens=30_000, model_s=700.0, tokens_per_s=71.4)
    assert run_cost(replace(run_record(run_json()), cost=spent)).speed == "43"


def test_every_sub_task_is_a_tile_with_its_number_and_its_samples(
    clean_run: Path, tmp_path: Path
) -> None:
    page = write_run_page(clean_run, tmp_path / "report.html").read_text()
    found = json.loads((clean_run / "run.json").read_text())["tasks"]["bbh"]["subtasks"]
    tiles = re.findall(
        r'<a class="tile heat-(\d+)" href="([^"]*)".*?<span>(.*?)</span> <b>(.*?)</b>', page
    )
    shown = {html.unescape(name.replace("<wbr>", "")): rest for *rest, name, _ in tiles}
    assert shown.keys() == found.keys()
    for (level, link), (name, subtask) in zip(shown.values(), found.items(), strict=True):
        value = subtask["metrics"]["exact_match"]["value"]
        assert abs(int(level) - 10 * value) <= 0.51
        assert html.unescape(link) == samples_link(task="bbh", subtask=name, metric="exact_match")


ROWS: list[tuple[float, float, list[str], str]] = [
    # values by the protocol and leniently, flags, response
    (1.0, 1.0, [], "The answer is 3."),
    (0.0, 1.0, [], "so \\boxed{3}"),
    (0.0, 1.0, ["misformatted"], "3"),
    (0.0, 1.0, ["truncated"], "it is 3, and"),
    (0.0, 1.0, [], "3"),
    (0.0, 0.0, ["refusal"], "I cannot"),
]


def test_the_numbers_of_the_diagnosis_lead_to_as_many_samples() -> None:
    names = ("exact_match", "exact_match_numeric")
    rows = [
        response_row(
            values={names[0]: strict, names[1]: lenient},
            flags=flags,
            gold="3",
            response={"text": text},
        )
        for strict, lenient, flags, text in ROWS
    ]
    found = Diagnosis(load_task("gsm8k"))
    for row in rows:
        found.add(row)
    flagged = [flag_lost(row, task(honest=names[1])) for row in rows]
    view = format_cost("GSM8K", found.counted(), samples_link, task="gsm8k")
    assert view.lost is not None
    assert (view.n, view.wrong.text, view.lost.text, view.lost.share) == ("6", "5", "4", "66.7 %")
    assert len(view.reasons) == 4
    for count in view.reasons:
        flag = count.link.rpartition("flag=")[2]
        assert sum(flag in row["flags"] for row in flagged) == int(count.text) == 1
    assert [(count.text, count.word) for count in view.flags] == [
        ("1", "truncated"),
        ("1", "refusal"),
    ]


@pytest.mark.parametrize("lost", [None, 0])
def test_nothing_lost_and_nothing_known_are_told_apart(lost: int | None) -> None:
    diagnosis = DiagnosisCounts(n=0, wrong=0, lost=lost, lost_by={}, flags={})
    view = format_cost("X", diagnosis, samples_link)
    assert (view.lost is None) == (lost is None)
    assert view.bar is None
