"""The page of a run under seal: the look is said, and nothing of a sealed sample is in the file."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from olmes.records.record import Record
from olmes.reports.run_page import write_run_page
from olmes.seal.sealing import open_samples
from olmes.tools import jsonl


@pytest.fixture(scope="module")
def page(sealed_run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("page") / "report.html"
    return write_run_page(sealed_run, output).read_text(encoding="utf-8")


def everything(page: str) -> str:
    """The page with its entities and its packed texts unpacked."""
    blobs = re.findall(r'<script type="text/plain" id="blob-\d+">([^<]*)</script>', page)
    unpacked = [gzip.decompress(base64.b64decode(blob)).decode() for blob in blobs]
    texts = [json.dumps(json.loads(text), ensure_ascii=False) for text in unpacked]
    return "\n".join([html.unescape(page), *texts])


def sealed_rows(run: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    record = Record.load(run)
    for task, sealed in record.run.sealed.items():
        text = gzip.decompress((run / sealed.file).read_bytes()).decode()
        for line in text.splitlines():
            yield task, json.loads(line)


def test_nothing_of_a_sealed_sample_is_in_the_page(sealed_run: Path, page: str) -> None:
    text = everything(page)
    rows = list(sealed_rows(sealed_run))
    assert len(rows) == 60
    for _, row in rows:
        for secret in (row["messages"][-1]["content"], row["response"]["text"]):
            assert secret not in text
            assert json.dumps(secret, ensure_ascii=False)[1:-1] not in text


def test_the_search_for_sealed_texts_finds_those_that_are_open(sealed_run: Path, page: str) -> None:
    # The same search on the task that is not sealed finds every row: the test above can fail.
    text = everything(page)
    rows = list(Record.load(sealed_run).samples("gsm8k"))
    assert len(rows) == 30
    for row in rows:
        response = row["response"]
        assert response is not None
        assert json.dumps(response["text"], ensure_ascii=False)[1:-1] in text


def test_the_look_stands_in_the_head_and_in_its_section(sealed_run: Path, page: str) -> None:
    words = " ".join(re.sub(r"<[^>]+>", " ", html.unescape(page.split("<body>")[1])).split())
    line = "Look 3 of the family tulu-8b; dev score then 45.2 [42.0, 48.5]"
    assert line in words.split("Scores")[0]
    held = Record.load(sealed_run).run.held_out
    assert held is not None
    section = words[words.index("Held out Look 3", words.index("What the words mean")) :]
    for fact in (
        "reason the final checkpoint",
        "asked by somebody@somewhere (person)",
        "looks before 2",
        "lineage base llama → training tulu-8b, step 400",
        "dev run tulu-8b-dev-1a2b3c4d, suite dev",
        f"line 1, hash {held.ledger.hash}",
        'olmes unseal RUNS/tulu-8b-unseen-5e6f7a8b --reason "..."',
        *(file for sealed in held.sealed.values() for file in (sealed.file, sealed.sha256)),
    ):
        assert fact in section, fact


def test_numbers_of_sealed_tasks_lead_to_the_seal_and_others_to_their_samples(page: str) -> None:
    links = dict.fromkeys(re.findall(r'<a [^>]*href="(#[^"]*)"', page))
    assert "#held-out" in links
    assert not [link for link in links if "agieval" in link or "deepmind_math" in link]
    assert [link for link in links if "task=gsm8k" in link]
    data = json.loads(re.findall(r'id="page-data">(.*?)</script>', page)[0])
    assert [task["name"] for task in data["tasks"]] == ["gsm8k"]
    assert page.count('<span class="tag">sealed</span>') == 4  # two tasks, in scores and provenance


def test_a_page_with_everything_sealed_has_no_browser(sealed_run: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(sealed_run.parent, store)
    run = json.loads((store / sealed_run.name / "run.json").read_text())
    del run["tasks"]["gsm8k"]
    (store / sealed_run.name / "run.json").write_text(json.dumps(run))
    page = write_run_page(store / sealed_run.name, tmp_path / "report.html").read_text()
    assert "All samples are under seal and not in this page." in page
    assert "browser-app" not in page
    assert "blob-0" not in page
    assert 'class="big"><a href="#held-out">' in page


def test_once_opened_the_samples_are_there(sealed_run: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(sealed_run.parent, store)
    record = Record.load(store / sealed_run.name)
    for task in record.run.sealed:
        path, text = open_samples(record, task)
        jsonl.write_atomically(path, text)
    page = write_run_page(record.folder, tmp_path / "report.html").read_text()
    text = everything(page)
    for _, row in sealed_rows(sealed_run):
        assert json.dumps(row["response"]["text"], ensure_ascii=False)[1:-1] in text
    assert '<span class="tag">sealed</span>' not in page
    assert "olmes unseal" not in page
    assert "The samples were opened" in page


def test_a_look_without_a_dev_score_says_so(sealed_run: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(sealed_run.parent, store)
    path = store / sealed_run.name / "run.json"
    run = json.loads(path.read_text())
    run["held_out"] |= {"dev": None, "looks_before": 0, "lineage": []}
    path.write_text(json.dumps(run))
    page = write_run_page(path.parent, tmp_path / "report.html").read_text()
    assert "Look 1 of the family tulu-8b; no dev score of these weights was known then" in page


def test_a_dev_score_that_is_not_a_share_is_not_shown_as_one_in_an_older_look(
    sealed_run: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(sealed_run.parent, store)
    path = store / sealed_run.name / "run.json"
    run = json.loads(path.read_text())
    run["schema"] = 1  # which had no units
    run["held_out"]["dev"] |= {"value": 5.69, "ci_low": 4.67, "ci_high": 6.71}
    path.write_text(json.dumps(run))
    page = write_run_page(path.parent, tmp_path / "report.html").read_text()
    assert "dev score then 5.69 [4.67, 6.71]" in page


def test_what_the_format_cost(page: str) -> None:
    (section,) = re.findall(r'<section id="format".*?</section>', page, re.DOTALL)
    words = " ".join(re.sub(r"<[^>]+>", " ", section).split())
    row = words[words.index("DeepMind Mathematics") :]
    assert re.match(r"DeepMind Mathematics 30 \d+ [\d.]+ % 6 20\.0 %", row)
    assert "4 LaTeX where plain was asked , 2 closing phrase missing" in row
    assert "3 truncated , 1 refusal , 2 unparsed" in row
    assert re.search(r"AGIEval 30 \d+ [\d.]+ % no lenient reading", words)
    assert '<rect class="lost" x="0" width="20.0"' in section
