"""How a model is asked: what fits, and what is recorded of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError
from olmes.models.options import ASKED, Asking, parse_values
from olmes.reasoning import ANY, FAMILIES


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        (["effort=low"], {"effort": "low"}),
        (["a=1", "b=true", "c=null", "d=[1,2]"], {"a": 1, "b": True, "c": None, "d": [1, 2]}),
        (["a.b=1", "a.c=x"], {"a": {"b": 1, "c": "x"}}),
        (["a=x=y"], {"a": "x=y"}),
        (["a="], {"a": ""}),
        ([], {}),
    ],
)
def test_values_are_json_where_they_can_be(pairs: list[str], found: dict[str, Any]) -> None:
    assert parse_values(pairs, "--template-arg") == found


@pytest.mark.parametrize("pairs", [["a"], ["=1"], [".=1"], ["a=1", "a.b=2"]])
def test_pairs_that_say_nothing_are_refused(pairs: list[str]) -> None:
    with pytest.raises(OlmesError, match="--request-body"):
        parse_values(pairs, "--request-body")


def test_only_what_is_given_is_recorded() -> None:
    assert ASKED.to_json() == {}
    given = Asking(thinking="off", template_args={"effort": "low"}, trust_remote_code=True)
    assert given.to_json() == {
        "thinking": "off", "template_args": {"effort": "low"}, "trust_remote_code": True,
    }  # fmt: skip
    assert Asking.from_json(given.to_json()) == given
    assert Asking.of(given) is given
    assert Asking.of({"thinking": "off"}).thinking == "off"


def test_files_are_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.jinja").write_text("{{ messages }}", "utf-8")
    (tmp_path / "tulu").write_text("", "utf-8")
    (tmp_path / "lora").mkdir()
    found = Asking(chat_template="mine.jinja", adapter="lora").anywhere()
    assert (found.chat_template, found.adapter) == (
        str(tmp_path / "mine.jinja"), str(tmp_path / "lora"),
    )  # fmt: skip
    for name in ("tulu", "plain", None):
        assert Asking(chat_template=name, adapter="ORG/lora").anywhere() == Asking(
            chat_template=name, adapter="ORG/lora"
        )


@pytest.mark.parametrize(
    "given",
    [{"thinking": "maybe"}, {"thinking_budget": 0}, {"reasoning_tags": "<think>"}],
)
def test_what_does_not_fit_is_refused_by_its_option(given: dict[str, Any]) -> None:
    with pytest.raises(OlmesError, match="--" + next(iter(given)).replace("_", "-")):
        Asking(**given)


def test_the_users_marks_go_before_the_models_own() -> None:
    own = (FAMILIES[0],)
    assert Asking().reader() is ANY
    assert Asking().reader(own, opened=True).opened
    assert Asking(reasoning_tags="none").reader(own).marks == ()
    assert Asking(reasoning_tags="A,B").reader(own).marks[0].opening == "A"
    assert Asking(reasoning_tags="harmony").reader(own).marks[0].name == "harmony"
