"""Checkpoints that follow one another in one process: weights are swapped, tokens are kept.

A checkpoint of the same architecture as the one before it is read into the very tensors that are
there, so that memory never holds two models and nothing is built again.

Imports torch when weights are loaded, not before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.models.checkpoint import folder as files
from olmes.models.checkpoint.fingerprint import fingerprinted, settings, weight_files
from olmes.models.checkpoint.weight_files import safetensors_header
from olmes.models.hf.batches import release_memory
from olmes.models.hf.encoding import EncodedPrompts, Encoder
from olmes.tools.hashing import content_hash

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DECODING = "generation_config.json"


class WarmMemory:
    """What checkpoints that are run one after another leave for the next one."""

    def __init__(self) -> None:
        self.module: PreTrainedModel | None = None
        self.layout = ""
        """The layout of the module's weights; empty where they cannot be swapped."""
        self.swaps = 0
        """How often weights were read into a module that was there."""
        self.tokenizers: dict[str, tuple[PreTrainedTokenizerBase, EncodedPrompts]] = {}

    def encoder(self, name: str, folder: Path) -> Encoder:
        """The tokenizer of a folder: one that is loaded where it has the same content.

        Raises:
            OlmesError: the folder has none.
        """
        parts = fingerprinted(folder)
        same = ("tokenizer", "tokenizer_config", "chat_template", "config")
        key = content_hash({part: parts[part] for part in same})
        if key not in self.tokenizers:
            self.tokenizers[key] = files.load_tokenizer(name, folder), EncodedPrompts()
        tokenizer, kept = self.tokenizers[key]
        return Encoder(name, tokenizer, kept)

    def weights(self, name: str, folder: Path, dtype: str, device: str) -> PreTrainedModel:
        """A checkpoint's weights, in place of those before them.

        Raises:
            OlmesError: the weights cannot be loaded or are incomplete.
        """
        layout = layout_of(folder, dtype, device)
        shards = weight_files(folder)
        if self.module is not None and layout and layout == self.layout:
            self.layout = ""  # a file that breaks off leaves a module of neither checkpoint
            with files.loading("weights", name):
                swap(self.module, shards)
            self.layout = layout
            self.swaps += 1
            return self.module
        self.release()
        self.module = files.load_weights(name, folder, dtype, device)
        if layout and swappable(self.module, shards):
            self.layout = layout
        return self.module

    def release(self) -> None:
        """Free the weights; tokenizers stay."""
        self.layout = ""
        if self.module is not None:
            self.module = None
            release_memory()


def layout_of(folder: Path, dtype: str, device: str) -> str:
    """A hash that two folders share when one's weights fit into the other's module.

    Over configuration, decoding settings, precision, device, and name, type and shape of every
    tensor. Empty where weights are loaded anew each time: no safetensors files, quantized weights,
    a model spread over devices.

    Raises:
        OlmesError: the folder lacks its configuration or weights.
    """
    config = settings(folder / "config.json")
    shards = weight_files(folder)
    if device == "auto" or "quantization_config" in config:
        return ""
    if any(shard.suffix != ".safetensors" for shard in shards):
        return ""
    shapes = {name: [one["dtype"], one["shape"]] for name, one in tensors(shards).items()}
    decoding = settings(folder / DECODING)
    return content_hash([config, decoding, dtype, device, shapes])


def tensors(shards: Iterable[Path]) -> dict[str, Any]:
    """Type and shape of every tensor of some files, by name.

    Raises:
        OlmesError: a file's header cannot be read.
    """
    found: dict[str, Any] = {}
    for shard in shards:
        try:
            found |= safetensors_header(shard)[1]
        except (EOFError, ValueError):
            raise OlmesError(
                f"{shard} is cut short: its header cannot be read; save the model again."
            ) from None
    return found


def swap(module: PreTrainedModel, shards: Iterable[Path]) -> None:
    """Read weights into a module's own tensors, one tensor at a time."""
    import torch

    places = module.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, tensor in read(shards):
            places[name].copy_(tensor)


def swappable(module: PreTrainedModel, shards: Sequence[Path]) -> bool:
    """Whether a module just loaded holds what its files hold, each tensor under its name.

    Not so where transformers renames, joins or turns tensors as it loads them. Tied weights are one
    place of two names.
    """
    import torch

    places = module.state_dict(keep_vars=True)
    names = tensors(shards)
    if not places.keys() >= names.keys():
        return False
    filled = {places[name].data_ptr() for name in names}
    if len(filled) < len(names) or filled != {one.data_ptr() for one in places.values()}:
        return False
    return all(
        torch.equal(places[name], tensor.to(places[name].device, places[name].dtype))
        for name, tensor in read(shards)
    )


def read(shards: Iterable[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of some safetensors files with its name."""
    from safetensors import safe_open

    for shard in shards:
        with safe_open(shard, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (no mapping)
                yield name, opened.get_tensor(name)
