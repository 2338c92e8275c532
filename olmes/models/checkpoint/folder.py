"""Where a checkpoint's files are, and what is known of it before its weights are loaded."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from olmes.errors import OlmesError
from olmes.models.checkpoint.fingerprint import ADAPTERS, settings
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash
from olmes.tools.jsonl import write_atomically

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

version = functools.cache(metadata.version)
DTYPES = ("float32", "bfloat16", "float16")

SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt")
"""The files of a hub repository with configuration and tokenizer."""


def first_line(error: Exception) -> str:
    """An exception's message, fit for the inside of a sentence."""
    return (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".")


class Checkpoint(Protocol):
    """Something that transformers can load."""

    def folder(self, *, weights: bool) -> Path:
        """The local folder; without `weights`, configuration and tokenizer may be all it holds."""


@dataclass(frozen=True, slots=True)
class LocalCheckpoint:
    """A folder written by `save_pretrained`."""

    path: Path

    def folder(self, *, weights: bool) -> Path:  # noqa: ARG002 (a local folder holds everything)
        """The folder itself."""
        return self.path


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """A repository on the Hugging Face hub; what is fetched is stored in the hub's own cache."""

    repository: str

    def folder(self, *, weights: bool) -> Path:
        """Fetch what is missing: the small files, and the weights only when they are needed.

        Raises:
            OlmesError: the hub or the repository cannot be reached and nothing is cached.
        """
        folder = self._fetch(SETTINGS, None)
        if not weights:
            return folder
        # The folder is named after the commit: weights are of the same commit as the tokenizer.
        folder = self._fetch((*SETTINGS, "*.safetensors"), folder.name)
        if not any(folder.glob("*.safetensors")):
            folder = self._fetch((*SETTINGS, "pytorch_model*.bin"), folder.name)
        return folder

    def _fetch(self, patterns: tuple[str, ...], revision: str | None) -> Path:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        try:
            return Path(
                huggingface_hub.snapshot_download(
                    self.repository,
                    revision=revision,
                    allow_patterns=list(patterns),
                    ignore_patterns=["*/*"],  # copies for other libraries live in folders
                )
            )
        except Exception as error:
            # The bases of the hub's error are the errors of its HTTP client and of the system.
            if not isinstance(error, (*HfHubHTTPError.__bases__, HFValidationError, ValueError)):
                raise
            reason = first_line(error)
            raise OlmesError(
                f"there is no folder '{self.repository}', and the hub does not give a model of "
                f"that name ({reason}); check the name, or give the folder of a local checkpoint."
            ) from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and advice off the screen; its errors still come through."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def loading(what: str, name: str) -> Iterator[None]:
    """Quiet loading, in which a failure of the files becomes one sentence.

    Raises:
        OlmesError: transformers refuses the files.
    """
    from safetensors import SafetensorError

    try:
        with quiet():
            yield
    # What transformers raises for bad or unknown files; anything else is a fault and shows as one.
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        reason = first_line(error)
        raise OlmesError(
            f"the {what} of '{name}' cannot be loaded by transformers ({reason}); check that the "
            "folder is a complete checkpoint of a causal language model."
        ) from error


def load_config(name: str, folder: Path) -> PretrainedConfig:
    """The configuration of the language model (of its text part, where it has several).

    Raises:
        OlmesError: the folder has none, or has an adapter alone.
    """
    from transformers import AutoConfig

    if (folder / "adapter_config.json").is_file():
        raise OlmesError(
            f"'{name}' is an adapter; merge it into its base model (peft: merge_and_unload) and "
            "save the result with save_pretrained."
        )
    with loading("configuration", name):
        return AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config()


def load_tokenizer(name: str, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer alone.

    Raises:
        OlmesError: the folder has none.
    """
    from transformers import AutoTokenizer

    with loading("tokenizer", name):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def load_weights(name: str, folder: Path, dtype: str, device: str) -> PreTrainedModel:
    """The model in evaluation mode on its device, without the checkpoint's decoding settings.

    Raises:
        OlmesError: the weights cannot be loaded or are incomplete.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    spread = device == "auto"
    with loading("weights", name):
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            device_map="auto" if spread else None,
            local_files_only=True,
            output_loading_info=True,
        )
    # transformers fills what is missing with random numbers and only warns.
    missing = sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"]))
    if missing:
        raise OlmesError(
            f"the weights of '{name}' lack {len(missing)} tensors of the architecture in its "
            f"config.json ({missing[0]} is the first); save the whole model again."
        )
    if not spread:
        model.to(device)
    # Decoding is the formulation's: a repetition penalty or a temperature in the checkpoint
    # must not change it. Only the end-of-sequence tokens are the model's own.
    model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    return model.eval()


def choose_device(requested: str | None) -> str:
    """The device asked for, or the best there is: cuda, mps, cpu; `auto` spreads over all GPUs.

    Raises:
        OlmesError: there is no such device.
    """
    if requested == "cpu" or (requested is None and cpu_alone()):
        return "cpu"
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if requested is None:
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, index = requested.partition(":")
    there = {"cpu": True, "cuda": cuda, "mps": mps, "auto": True}.get(kind, False)
    if there and index:
        there = kind == "cuda" and index.isdigit() and int(index) < torch.cuda.device_count()
    if not there:
        usable = ", ".join(["auto", *["cuda"] * cuda, *["mps"] * mps, "cpu"])
        raise OlmesError(f"there is no device '{requested}' here; choose one of {usable}.")
    return requested


def cpu_alone() -> bool:
    """Whether the installed torch supports the CPU alone, found out without importing it.

    A run whose answers are all in the cache needs torch for nothing else.
    """
    return sys.platform == "linux" and version("torch").endswith("+cpu")


def describe_device(device: str) -> str:
    """The device with the hardware's name, as records show it."""
    if device == "cpu":
        return device
    import torch

    if device == "auto" and torch.cuda.is_available():
        return f"cuda x{torch.cuda.device_count()} ({torch.cuda.get_device_name(0)})"
    if device.startswith("cuda"):
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return "cpu" if device == "auto" else device


def choose_dtype(requested: str | None, device: str, config: Callable[[], PretrainedConfig]) -> str:
    """The precision asked for; by default float32 on a CPU and the checkpoint's own on a GPU.

    A CPU without native bfloat16 is ten times slower in it, and its outputs differ. A checkpoint
    that names no precision counts as float32.

    Raises:
        OlmesError: there is no such precision.
    """
    if requested in DTYPES:
        return str(requested)
    if requested not in (None, "auto"):
        raise OlmesError(
            f"there is no dtype '{requested}'; choose one of auto, {', '.join(DTYPES)}."
        )
    on_cpu = describe_device(device) == "cpu"
    if requested is None and on_cpu:
        return "float32"
    own: torch.dtype | str | None = getattr(config(), "dtype", None)
    return str(own).removeprefix("torch.") if own is not None else "float32"


def window_of(name: str, folder: Path, max_length: int | None) -> int | None:
    """Tokens a prompt and its answer may fill together: the model's own limit or a lower option.

    The model's own is what transformers makes of its configuration; it is cached, since that takes
    the import of transformers.

    Raises:
        OlmesError: the option is not a positive number, or the folder has no configuration.
    """
    if max_length is not None and max_length < 1:
        raise OlmesError(f"max_length is {max_length}; give a positive number of tokens.")
    if (folder / ADAPTERS[0]).is_file():
        load_config(name, folder)  # raises that it is not a model
    key = content_hash([settings(folder / "config.json"), version("transformers")])
    entry = cache_folder() / "windows" / key
    try:
        own = json.loads(entry.read_text("ascii"))
    except (OSError, ValueError):
        own = getattr(load_config(name, folder), "max_position_embeddings", None)
        with contextlib.suppress(OSError):  # a read-only cache costs time, not correctness
            write_atomically(entry, json.dumps(own))
    limits = [limit for limit in (own, max_length) if limit is not None]
    return min(limits) if limits else None
