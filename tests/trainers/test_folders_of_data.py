"""Several folders of benchmark files: in a recipe, and in what a checkpoint is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from olmes.errors import OlmesError
from olmes.synthesis.recipe import beside_each
from olmes.tools import toml_tables as tables
from olmes.tools.hashing import content_hash
from olmes.trainers.chain import Unseen
from olmes.trainers.checkpoints.request import EvalRequest
from olmes.trainers.recipes.files import near_folders
from olmes.trainers.recipes.tables import Decontamination, Scoring


def test_a_request_of_one_folder_is_what_it_was() -> None:
    """Jobs and hashes of trainings that were begun before stay theirs."""
    one = EvalRequest(target="gsm8k", out="/runs", data="/official")
    assert one.to_json()["data"] == "/official"
    assert one.options("").data == (Path("/official"),)
    stored = {"target": "gsm8k", "out": "/runs", "data": "/official"}
    _, [gsm8k] = one.members
    decides = [None, "/official", None, None, None]
    before = content_hash([None, {"gsm8k": gsm8k.formulation_hash}, decides])[:16]
    assert EvalRequest.from_json(stored).hash == one.hash == before
    assert EvalRequest.from_json({"target": "gsm8k", "out": "/runs"}).options("").data == ()


def test_a_request_of_several_folders_comes_back_from_json() -> None:
    several = EvalRequest(target="gsm8k", out="/runs", data=("/official", "/own"))
    again = EvalRequest.from_json(json.loads(json.dumps(several.to_json())))
    assert again == several
    assert again.options("").data == (Path("/official"), Path("/own"))
    assert again.hash != EvalRequest(target="gsm8k", out="/runs", data="/official").hash


@pytest.mark.parametrize("kind", [Scoring, Decontamination, Unseen])
def test_a_recipe_names_one_folder_or_several(kind: type) -> None:
    for written, read in (("a", "a"), (["a", "b"], ("a", "b")), ("none", None)):
        assert tables.convert({"data": written}, kind, None, "x.toml", "scoring").data == read
    for wrong in (3, ["a", 3]):
        with pytest.raises(OlmesError, match=r"data' must be a"):
            tables.convert({"data": wrong}, kind, None, "x.toml", "scoring")


def test_folders_are_found_from_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    assert near_folders(tmp_path, ("own", "/official")) == (str(tmp_path / "own"), "/official")
    assert near_folders(tmp_path, "own") == str(tmp_path / "own")
    assert near_folders(tmp_path, None) is None
    assert beside_each(tmp_path, ("own", "b")) == (str(tmp_path / "own"), str(tmp_path / "b"))
    assert beside_each(tmp_path, "") == ""
