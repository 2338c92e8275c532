"""The content fingerprint of a checkpoint: the same files have it in every folder.

It covers what decides the outputs (weights, architecture, tokenizer, chat template, end-of-sequence
tokens) and nothing that a copy or another library version changes (paths, version stamps).
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any, TypedDict

from olmes.errors import OlmesError
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash, file_sha256
from olmes.tools.jsonl import read_text, write_atomically
from olmes.types import JsonObject

# In the order in which transformers looks: the first that is there is the one it loads.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
TOKENIZERS = (
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
)
VOLATILE = {"_name_or_path", "name_or_path", "transformers_version", "chat_template"}
"""Keys of configuration files without influence on outputs (the chat template is hashed by itself)."""
RACY_SECONDS = 2.0
"""A file changed this recently may change again within one tick of the file system's clock."""


class FingerprintContent(TypedDict):
    """What a fingerprint is a hash of; files are in it by name and SHA-256."""

    weights: dict[str, str]
    adapters: dict[str, str]
    config: JsonObject
    tokenizer: dict[str, str]
    tokenizer_config: JsonObject
    chat_template: Any
    """A string; in a tokenizer's configuration it may be a list of named ones."""
    eos: Any
    """A token id, several, or None."""


def read_json(path: Path) -> JsonObject:
    """The object in a JSON file.

    Raises:
        OlmesError: the file is missing or is not a JSON object.
    """
    try:
        value = json.loads(read_text(path))
    except ValueError as error:
        raise OlmesError(f"{path} is not JSON ({error}); fetch or save the model again.") from None
    if not isinstance(value, dict):
        raise OlmesError(f"{path} is not a JSON object; fetch or save the model again.")
    return value


def weight_files(folder: Path) -> list[Path]:
    """The files transformers loads a folder's weights from: one file, or the shards of an index.

    Raises:
        OlmesError: there are no weights, or a shard is missing.
    """
    found = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        raise OlmesError(
            f"{folder} has no weights ({' or '.join(WEIGHTS)}); save the model there with "
            "save_pretrained."
        )
    if found.suffix != ".json":
        return [found]
    shards = [folder / name for name in sorted(set(read_json(found)["weight_map"].values()))]
    for shard in shards:
        if not shard.is_file():
            raise OlmesError(
                f"{shard} is missing, although {found.name} lists it; fetch or save the model again."
            )
    return shards


def chat_template(folder: Path, tokenizer_config: JsonObject) -> Any:
    """The template of a folder: its own file, which goes first, or the tokenizer's entry."""
    for name in ("chat_template.jinja", "chat_template.json"):
        if (folder / name).is_file():
            return read_text(folder / name)
    return tokenizer_config.get("chat_template")


def checkpoint_fingerprint(folder: Path, *, code: bool = False) -> str:
    """64 hex digits over the content of weights, configuration, tokenizer and chat template.

    Args:
        folder: the checkpoint's.
        code: whether code that lies there is run, so that it decides outputs too.

    Raises:
        OlmesError: the folder lacks its configuration or weights.
    """
    content = fingerprint_content(folder)
    return content_hash({**content, "code": code_of(folder)} if code else content)


def code_of(folder: Path) -> dict[str, str]:
    """The code that lies in a folder: SHA-256 by name."""
    return {path.name: cached_sha256(path) for path in sorted(folder.glob("*.py"))}


def fingerprint_parts(folder: Path, *, code: bool = False) -> dict[str, str]:
    """16 hex digits for each part of the fingerprint, so that a difference between models has a name.

    Raises:
        OlmesError: as `checkpoint_fingerprint`.
    """
    content = {**fingerprint_content(folder), **({"code": code_of(folder)} if code else {})}
    return {name: content_hash(part)[:16] for name, part in content.items()}


def fingerprint_content(folder: Path) -> FingerprintContent:
    """What the fingerprint covers.

    Raises:
        OlmesError: the folder lacks its configuration or weights.
    """

    def hashes(paths: list[Path]) -> dict[str, str]:
        return {path.name: cached_sha256(path) for path in paths if path.is_file()}

    tokenizer_path = folder / "tokenizer_config.json"
    tokenizer_config = read_json(tokenizer_path) if tokenizer_path.is_file() else {}
    read_json(folder / "config.json")  # a folder without one is not a model
    return {
        "weights": hashes(weight_files(folder)),
        "adapters": hashes([folder / name for name in ADAPTERS]),
        "config": settings(folder / "config.json"),
        "tokenizer": hashes([folder / name for name in TOKENIZERS]),
        "tokenizer_config": settings(tokenizer_path),
        "chat_template": chat_template(folder, tokenizer_config),
        # The rest of this file is decoding settings, which a formulation overrides.
        "eos": settings(folder / "generation_config.json").get("eos_token_id"),
    }


def settings(path: Path) -> JsonObject:
    """The entries of a configuration file that influence outputs; empty where there is no file.

    Raises:
        OlmesError: it is not a JSON object.
    """
    values = read_json(path) if path.is_file() else {}
    return {key: value for key, value in values.items() if key not in VOLATILE}


def cached_sha256(path: Path) -> str:
    """A file's SHA-256, hashed once: cached by real path, size, change time and inode.

    Hashing 16 GB takes half a minute, and every run needs it. An entry is one small file, so that
    processes do not overwrite each other's.
    """
    real = path.resolve()
    before = real.stat()
    key = content_hash([str(real), before.st_size, before.st_mtime_ns, before.st_ino])
    entry = cache_folder() / "file-hashes" / key
    try:
        cached = entry.read_text("ascii")
        if len(cached) == 64:
            return cached
    except (OSError, ValueError):
        pass
    digest = file_sha256(real)
    after = real.stat()
    unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if unchanged and time.time() - after.st_mtime > RACY_SECONDS:
        with contextlib.suppress(OSError):  # a read-only cache costs time, not correctness
            write_atomically(entry, digest)
    return digest
