"""Tables written as TOML are read back as they were."""

from __future__ import annotations

import tomllib

import pytest

from olmes.tools.toml_text import toml_text


def test_what_is_written_is_read_back() -> None:
    table = {
        "name": 'a "quoted" \\ name\nwith ü 😀 and \x7f\x00',
        "rate": 1e-08,
        "whole": 3,
        "on": True,
        "list": ["a", "b"],
        "data": {"my file.jsonl": {"weight": 2.0}, "plain": {"count": 3, "seed": 1}},
        "scoring": {"settings": {"gsm8k.shots": 1}, "limit": 8},
        "empty": {},
    }
    assert tomllib.loads(toml_text(table)) == table


def test_null_is_no_value_of_toml() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml_text({"a": None})
