"""The page of a paper's numbers beside a model's."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from olmes.records.record import Record
from olmes.reports.reproduction_page import write_reproduction_page
from olmes.reports.run_page import write_run_page
from olmes.reproduction.paper import choose_model, load_paper
from olmes.reproduction.reproduce import Reproduction, reproduction
from olmes.reproduction.texts import row_text
from olmes.reproduction.whose import model_among


def reproduced(*records: Record, unseen: bool = True) -> Reproduction:
    """Some records beside the paper."""
    paper = load_paper("tulu3")
    model, _ = model_among(records)
    return reproduction(paper, model, choose_model(paper, [], stage="sft"), unseen=unseen)


@pytest.fixture(scope="module")
def records(store: Path) -> list[Record]:
    found = [Record.load(path.parent) for path in sorted(store.glob("*/run.json"))]
    fingerprint = found[0].run.model.fingerprint
    return [one for one in found if one.run.model.fingerprint == fingerprint]


def words_of(page: Path) -> str:
    text = page.read_text(encoding="utf-8").replace("<wbr>", "").split("<header")[1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_every_row_stands_there_with_its_setting(records: list[Record], tmp_path: Path) -> None:
    found = reproduced(*records)
    words = words_of(write_reproduction_page(found, tmp_path / "page.html"))
    assert any(section.rows for section in found.sections)
    assert found.chance in words
    for section in found.sections:
        assert section.title in words
        for row in section.rows:
            text = row_text(row)
            assert f"{text.ours} {text.interval} {text.published}" in words
            assert row.formulation_hash in words
            assert row.setting in words
            assert all(why in words for why in (*row.differs, *row.notes))
        for missing in section.missing:
            assert missing.column in words


def test_a_look_stands_beside_held_out_scores(records: list[Record], tmp_path: Path) -> None:
    looks = [record.run.held_out for record in records if record.run.held_out]
    assert looks
    shown = words_of(write_reproduction_page(reproduced(*records), tmp_path / "shown.html"))
    assert f"Look {looks[0].looks_before + 1} of the family {looks[0].family}" in shown
    assert looks[0].reason in shown
    hidden = reproduced(*records, unseen=False)
    assert "Look" not in words_of(write_reproduction_page(hidden, tmp_path / "hidden.html"))


def test_numbers_lead_to_their_samples_where_there_is_a_page(
    records: list[Record], tmp_path: Path
) -> None:
    found = reproduced(*records)
    folders = {record.id: record.folder for record in records}
    place = records[0].folder.parent / "reproduction.html"
    without = write_reproduction_page(found, tmp_path / "alone.html").read_text("utf-8")
    assert "report.html" not in without
    for record in records:
        write_run_page(record.folder, record.folder / "report.html")
    page = write_reproduction_page(found, place, folders).read_text("utf-8")
    links = re.findall(r'href="([^"#]+report\.html)', page)
    assert links
    assert all((place.parent / link).is_file() for link in links)


def test_no_name_is_markup(hostile_run: Path, tmp_path: Path) -> None:
    record = Record.load(hostile_run)
    page = write_reproduction_page(reproduced(record), tmp_path / "page.html").read_text("utf-8")
    assert page.count("<script") == 1  # the theme's
    assert 'onerror="window' not in page
