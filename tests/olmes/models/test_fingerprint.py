"""The fingerprint follows the content, and files are hashed once."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.checkpoint import fingerprint
from olmes.models.checkpoint.fingerprint import checkpoint_fingerprint
from olmes.tools.hashing import file_sha256


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy to change, an hour old."""
    copy = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    for path in copy.iterdir():
        age(path)
    return copy


def age(path: Path) -> None:
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_copy_elsewhere_has_the_same(folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere" / "model")
    found = checkpoint_fingerprint(folder)
    assert len(found) == 64
    assert found == checkpoint_fingerprint(tmp_path / "elsewhere" / "model")
    assert found == checkpoint_fingerprint(tiny_folder)


def change_one_weight(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] += 1e-6
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def change_one_merge(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["merges"][5:7] = tokenizer["model"]["merges"][6:4:-1]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


@pytest.mark.parametrize(
    "change",
    [
        change_one_weight,
        change_one_merge,
        lambda f: (f / "chat_template.jinja").write_text("{{ messages[0]['content'] }}"),
        lambda f: change_json(f / "config.json", rms_norm_eps=0.1),
        lambda f: change_json(f / "generation_config.json", eos_token_id=[2, 7]),
        lambda f: change_json(f / "tokenizer_config.json", eos_token="<|endoftext|>"),
        lambda f: (f / "adapter_model.safetensors").write_bytes(b"adapter"),
    ],
)
def test_what_decides_outputs_changes_it(folder: Path, change: Callable[..., Any]) -> None:
    before = checkpoint_fingerprint(folder)
    change(folder)
    assert checkpoint_fingerprint(folder) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda f: change_json(f / "config.json", transformers_version="9.9", _name_or_path="/x"),
        lambda f: change_json(f / "generation_config.json", temperature=0.3),
        lambda f: (f / "optimizer.pt").write_bytes(b"state"),
        lambda f: (f / "training_args.bin").write_bytes(b"arguments"),
        lambda f: (f / "README.md").write_text("about"),
    ],
)
def test_what_does_not_decide_outputs_leaves_it(folder: Path, change: Callable[..., Any]) -> None:
    before = checkpoint_fingerprint(folder)
    change(folder)
    assert checkpoint_fingerprint(folder) == before


def test_a_template_in_either_file_is_the_same_template(folder: Path) -> None:
    before = checkpoint_fingerprint(folder)
    template = folder / "chat_template.jinja"
    change_json(folder / "tokenizer_config.json", chat_template=template.read_text())
    template.unlink()
    assert checkpoint_fingerprint(folder) == before


def test_shards_count_and_a_missing_one_is_named(folder: Path) -> None:
    weights = folder / "model.safetensors"
    shard = weights.rename(folder / "model-00001-of-00002.safetensors")
    second = folder / "model-00002-of-00002.safetensors"
    second.write_bytes(b"b")
    index = {"weight_map": {"a": shard.name, "b": second.name, "c": shard.name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    before = checkpoint_fingerprint(folder)
    second.write_bytes(b"c")
    assert checkpoint_fingerprint(folder) != before
    second.unlink()
    with pytest.raises(OlmesError, match=r"00002-of-00002\.safetensors is missing"):
        checkpoint_fingerprint(folder)


def test_a_folder_without_weights_or_with_a_broken_configuration_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(OlmesError, match=r"config\.json is not JSON"):
        checkpoint_fingerprint(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(OlmesError, match=r"no weights|config\.json"):
        checkpoint_fingerprint(folder)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that were read to be hashed."""
    names: list[str] = []
    real = file_sha256

    def noted(path: Path) -> str:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(fingerprint, "file_sha256", noted)
    return names


def test_files_are_hashed_once(folder: Path, hashed: list[str]) -> None:
    first = checkpoint_fingerprint(folder)
    assert "model.safetensors" in hashed
    hashed.clear()
    assert checkpoint_fingerprint(folder) == first
    assert hashed == []


def test_overwriting_in_place_is_noticed(folder: Path, hashed: list[str]) -> None:
    first = checkpoint_fingerprint(folder)
    hashed.clear()
    weights = folder / "model.safetensors"
    inode = weights.stat().st_ino
    with weights.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)[0]
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last ^ 1]))
    assert weights.stat().st_ino == inode
    assert checkpoint_fingerprint(folder) != first
    assert hashed == ["model.safetensors"]


def test_a_file_that_is_still_fresh_is_not_remembered(folder: Path, hashed: list[str]) -> None:
    """Within one tick of the clock it could change again and keep its time."""
    (folder / "model.safetensors").write_bytes(b"1")
    first = checkpoint_fingerprint(folder)
    stat = (folder / "model.safetensors").stat()
    (folder / "model.safetensors").write_bytes(b"2")
    os.utime(folder / "model.safetensors", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert checkpoint_fingerprint(folder) != first


def test_a_cache_that_cannot_be_written_costs_time_only(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: list[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "file" / "cache"))
    assert checkpoint_fingerprint(folder) == checkpoint_fingerprint(folder)
    assert hashed.count("model.safetensors") == 2
