"""The published tables: whole, consistent with their own sums, known misprints marked."""

from __future__ import annotations

import pytest

from olmes import OlmesError
from olmes.reproduction.paper import Chosen, Paper, choose_model, load_paper, paper_names, plain

ROUNDED = 0.0505
"""Between a mean of printed numbers and the mean as printed."""


@pytest.fixture
def paper() -> Paper:
    return load_paper("tulu3")


def test_every_row_has_a_number_a_column_and_a_known_model(paper: Paper) -> None:
    assert paper_names() == ["tulu3"]
    assert len(paper.tables) == 12
    for table in paper.tables:
        assert table.table
        assert table.title
        assert len(set(table.columns)) == len(table.columns)
        for model, numbers in table.rows.items():
            assert len(numbers) == len(table.columns), (table.table, model)
            assert model in paper.models, (table.table, model)
        for model, columns in table.misprints.items():
            assert all(table.number(model, name) is not None for name in columns)


def test_printed_means_are_those_of_their_rows_but_for_the_known_misprint(paper: Paper) -> None:
    wrong, checked = [], 0
    for table in paper.tables:
        for name, members in table.means.items():
            for model in table.rows:
                numbers = [table.number(model, member) for member in members]
                known = [number for number in numbers if number is not None]
                printed = table.number(model, name)
                assert printed is not None
                assert len(known) == len(members)
                checked += 1
                if abs(sum(known) / len(known) - printed) > ROUNDED:
                    wrong.append((table.table, model, name))
                    assert table.misprint(model, name)
    assert wrong == [("33", "Llama 3.1 8B Instruct", "unseen_average")]
    assert checked > 40


def test_the_older_series_of_bbh_gives_the_older_averages(paper: Paper) -> None:
    [table] = [table for table in paper.tables if table.table == "23"]
    columns = paper.head.sections["dev"].columns
    for model in table.rows:
        if (printed := table.number(model, "dev_average_release")) is None:
            continue
        names = ["bbh_release" if name == "bbh" else name for name in columns]
        found = [paper.published(model, name) for name in names]
        mean = sum(100 * one.value for one in found if one) / len(columns)
        assert mean == pytest.approx(printed, abs=ROUNDED)


def test_the_six_safety_numbers_have_the_mean_of_the_overview(paper: Paper) -> None:
    checked = 0
    for model in paper.models:
        parts = [paper.published(model, name) for name in paper.head.sections["dev"].beside[2:]]
        whole = paper.published(model, "safety")
        if whole is None or None in parts:
            continue
        mean = sum(part.value for part in parts if part) / 6
        assert mean == pytest.approx(whole.value, abs=ROUNDED / 100)
        checked += 1
    assert checked == 10


def test_tables_that_hold_the_same_number_agree(paper: Paper) -> None:
    for model in paper.models:
        for name in {name for table in paper.tables for name in table.columns}:
            found = {table.number(model, name) for table in paper.tables} - {None}
            assert len(found) <= 1, (model, name, found)


def test_every_column_of_a_suite_says_what_it_is_of(paper: Paper) -> None:
    for suite in paper.head.sections.values():
        for name in (*suite.columns, *suite.beside):
            column = paper.column(name)
            assert column.setting
            assert column.items > 0
            assert any(name in table.columns for table in paper.tables), name


def test_what_is_misprinted_says_so_where_it_is_read(paper: Paper) -> None:
    found = paper.published("Llama 3.1 8B Instruct", "unseen_average")
    assert found is not None
    assert found.value == pytest.approx(0.364)
    assert found.table == "33"
    assert found.misprint == "the seven rows average 37.4"
    other = paper.published("Tülu 3 8B", "unseen_average")
    assert other is not None
    assert other.misprint == ""
    assert paper.published("Tülu 3 8B SFT", "href") is None


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("allenai/Llama-3.1-Tulu-3-8B-SFT", "Tülu 3 8B SFT"),
        ("allenai/Llama-3.1-Tulu-3-8B-DPO", "Tülu 3 8B DPO"),
        ("/models/Llama-3.1-Tulu-3-8B", "Tülu 3 8B"),
        ("openai:Llama-3.1-Tulu-3-70B@http://localhost:8000", "Tülu 3 70B"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "Llama 3.1 8B Instruct"),
        ("Qwen/Qwen2.5-72B-Instruct", "Qwen 2.5 72B Instruct"),
        ("NousResearch/Hermes-3-Llama-3.1-70B", "Hermes 3 70B"),
        ("mistralai/Ministral-8B-Instruct-2410", "Ministral 8B Instruct"),
        ("nvidia/Llama-3.1-Nemotron-70B-Instruct-HF", "Nemotron 70B Instruct"),
    ],
)
def test_a_model_is_known_by_its_name(name: str, model: str, paper: Paper) -> None:
    assert choose_model(paper, [name]).name == model


def test_a_name_that_says_nothing_is_held_against_the_default_and_that_is_said(
    paper: Paper,
) -> None:
    for name in ("smollm2", "allenai/Llama-3.1-Tulu-3.1-8B"):
        assert choose_model(paper, [name]) == Chosen(
            "Tülu 3 8B", "its name does not say which; --as takes another"
        )


@pytest.mark.parametrize(
    ("names", "asked", "model"),
    [
        (["smollm2"], {"stage": "sft"}, "Tülu 3 8B SFT"),
        (["my-tulu-70B"], {"stage": "dpo"}, "Tülu 3 70B DPO"),
        (["Llama-3.1-Tulu-3-70B-SFT"], {"stage": "final"}, "Tülu 3 70B"),
        (["Llama-3.1-Tulu-3-8B-SFT"], {"size": "70b"}, "Tülu 3 70B SFT"),
        ([], {"size": "70b", "stage": "dpo"}, "Tülu 3 70B DPO"),
        (["Tulu-3-8B"], {"called": "tulu 3 70b sft"}, "Tülu 3 70B SFT"),
    ],
)
def test_the_options_take_another_row(
    names: list[str], asked: dict[str, str], model: str, paper: Paper
) -> None:
    found = choose_model(paper, names, **asked)
    assert found.name == model
    assert found.why.startswith("as --")


def test_what_the_tables_do_not_have_is_refused_with_what_they_have(paper: Paper) -> None:
    with pytest.raises(OlmesError, match="no such model; choose one of Tülu 3 8B SFT"):
        choose_model(paper, [], called="Tülu 4")
    with pytest.raises(OlmesError, match="no sft model of 13b; choose --size from 70b, 8b"):
        choose_model(paper, [], stage="sft", size="13b")
    with pytest.raises(OlmesError, match="no tables of a paper 'tulu9'; choose one of tulu3"):
        load_paper("tulu9")


def test_names_are_compared_without_case_accents_and_signs() -> None:
    assert plain("Llama-3.1-Tülu 3/8B") == "llama31tulu38b"
