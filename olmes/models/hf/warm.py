"""Checkpoints that follow one another in one process: weights are swapped, tokens are cached.

A checkpoint of the same architecture as the one before it is read into the very tensors of that
one, so that memory never has two models and nothing is built again.

Imports torch when weights are loaded, not before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from olmes.errors import OlmesError
from olmes.models.chat.form import ChatForm
from olmes.models.checkpoint import folder as files
from olmes.models.checkpoint.fingerprint import fingerprint_content, settings, weight_files
from olmes.models.checkpoint.weight_files import TensorInfo, safetensors_header
from olmes.models.hf.batches import release_memory
from olmes.models.hf.encoding import Encoder, EncodingCache
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
        """How often weights were read into an existing module."""
        self.tokenizers: dict[str, tuple[PreTrainedTokenizerBase, EncodingCache]] = {}

    def encoder(
        self, name: str, folder: Path, form: ChatForm, template: str, *, trust: bool = False
    ) -> Encoder:
        """The tokenizer of a folder: a loaded one, where it has the same content and form.

        Raises:
            OlmesError: the folder has none.
        """
        content = fingerprint_content(folder)
        key = content_hash(
            {
                "tokenizer": content["tokenizer"],
                "tokenizer_config": content["tokenizer_config"],
                "chat_template": content["chat_template"],
                "config": content["config"],
                "form": repr(form),
            }
        )
        if key not in self.tokenizers:
            self.tokenizers[key] = (
                files.load_tokenizer(name, folder, trust=trust),
                EncodingCache(),
            )
        tokenizer, cache = self.tokenizers[key]
        return Encoder(name, tokenizer, cache, form, template)

    def weights(
        self, name: str, folder: Path, dtype: str, device: str, trust: bool = False
    ) -> PreTrainedModel:
        """A checkpoint's weights, in place of those before them.

        Raises:
            OlmesError: the weights cannot be loaded or are incomplete.
        """
        # Code of a model's own may make anything of its tensors.
        layout = "" if trust else layout_of(folder, dtype, device)
        shards = weight_files(folder)
        if self.module is not None and layout and layout == self.layout:
            self.layout = ""  # a file that breaks off leaves a module of neither checkpoint
            with files.loading("weights", name):
                swap(self.module, shards)
            self.layout = layout
            self.swaps += 1
            return self.module
        self.release()
        self.module = files.load_weights(name, folder, dtype, device, trust)
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


def tensors(shards: Iterable[Path]) -> dict[str, TensorInfo]:
    """Type and shape of every tensor of some files, by name.

    Raises:
        OlmesError: a file's header cannot be read.
    """
    found: dict[str, TensorInfo] = {}
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

    own = module.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, tensor in read(shards):
            own[name].copy_(tensor)


def swappable(module: PreTrainedModel, shards: Sequence[Path]) -> bool:
    """Whether a module just loaded has its files' tensors, each under its name.

    Not so where transformers renames, joins or transposes tensors as it loads them. Tied weights are
    one tensor of two names.
    """
    import torch

    own = module.state_dict(keep_vars=True)
    names = tensors(shards)
    if not own.keys() >= names.keys():
        return False
    addresses = {own[name].data_ptr() for name in names}
    if len(addresses) < len(names) or addresses != {one.data_ptr() for one in own.values()}:
        return False
    return all(
        torch.equal(own[name], tensor.to(own[name].device, own[name].dtype))
        for name, tensor in read(shards)
    )


def read(shards: Iterable[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of some safetensors files with its name."""
    from safetensors import safe_open

    for shard in shards:
        with safe_open(shard, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (no mapping)
                yield name, opened.get_tensor(name)
