"""What is known of a checkpoint's folder before its weights are loaded, and the loading of parts."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from olmes.errors import OlmesError
from olmes.models.checkpoint.architecture import causal_class, is_reward_model, read_config
from olmes.models.checkpoint.completeness import has_tokenizer
from olmes.models.checkpoint.fingerprint import ADAPTERS, settings
from olmes.models.checkpoint.hub import SETTINGS
from olmes.models.checkpoint.loading import first_line, loading, quiet, version
from olmes.models.checkpoint.places import (
    Checkpoint,
    HubCheckpoint,
    LocalCheckpoint,
    check_leftover,
)
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash
from olmes.tools.jsonl import write_atomically

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "DTYPES",
    "SETTINGS",
    "Checkpoint",
    "HubCheckpoint",
    "LocalCheckpoint",
    "choose_device",
    "choose_dtype",
    "cpu_alone",
    "describe_device",
    "first_line",
    "load_config",
    "load_tokenizer",
    "load_weights",
    "loading",
    "quiet",
    "version",
    "window_of",
]
DTYPES = ("float32", "bfloat16", "float16")


def load_config(name: str, folder: Path, *, trust: bool = False) -> PretrainedConfig:
    """The configuration of the language model (of its text part, where it has several).

    Args:
        name: what the user called it.
        folder: where it lies.
        trust: whether code that lies in the folder may be run; here as in every other function.

    Raises:
        OlmesError: the folder has none, or it is not clear whether it is an adapter.
    """
    check_leftover(name, folder)
    return read_config(name, folder, trust=trust).get_text_config()


def load_tokenizer(name: str, folder: Path, *, trust: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer alone, with the chat template of the folder.

    Raises:
        OlmesError: the folder has none.
    """
    from transformers import AutoTokenizer

    try:
        with loading("tokenizer", name):
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, local_files_only=not trust, trust_remote_code=trust
            )
    except OlmesError:
        if has_tokenizer(folder):
            raise
        raise OlmesError(
            f"the tokenizer of '{name}' cannot be loaded, for there is none in {folder}; copy that of "
            "its base model there (tokenizer.json, tokenizer_config.json), or save it with "
            "save_pretrained."
        ) from None
    # Models that read images too may have their template in the file of their processor.
    processor = folder / "chat_template.json"
    if not tokenizer.chat_template and processor.is_file():
        with contextlib.suppress(ValueError):
            tokenizer.chat_template = json.loads(processor.read_text("utf-8")).get("chat_template")
    return tokenizer


def load_weights(
    name: str, folder: Path, dtype: str, device: str, trust: bool = False
) -> PreTrainedModel:
    """The model in evaluation mode on its device, without the checkpoint's decoding settings.

    Raises:
        OlmesError: the weights cannot be loaded or are incomplete.
    """
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        GenerationConfig,
    )

    spread = device == "auto"
    config, kind = read_config(name, folder, trust=trust), AutoModelForSequenceClassification
    rewards = is_reward_model(folder)
    if not rewards:
        kind = causal_class(config) or AutoModelForCausalLM
    with loading("weights", name):
        model, report = kind.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            device_map="auto" if spread else None,
            local_files_only=not trust,
            trust_remote_code=trust,
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
    if rewards:
        return model.eval()
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


def window_of(
    name: str, folder: Path, max_length: int | None, *, trust: bool = False
) -> int | None:
    """Tokens a prompt and its answer may fill together: the model's own limit or a lower option.

    The model's own is what transformers makes of its configuration; it is cached, since that takes
    the import of transformers.

    Raises:
        OlmesError: the option is not a positive number, or the folder has no configuration.
    """
    if max_length is not None and max_length < 1:
        raise OlmesError(f"max_length is {max_length}; give a positive number of tokens.")
    if (folder / ADAPTERS[0]).is_file():
        load_config(name, folder, trust=trust)  # raises that it is not a model
    key = content_hash([settings(folder / "config.json"), version("transformers")])
    entry = cache_folder() / "windows" / key
    try:
        own = json.loads(entry.read_text("ascii"))
    except (OSError, ValueError):
        own = getattr(load_config(name, folder, trust=trust), "max_position_embeddings", None)
        with contextlib.suppress(OSError):  # a read-only cache costs time, not correctness
            write_atomically(entry, json.dumps(own))
    limits = [limit for limit in (own, max_length) if limit is not None]
    return min(limits) if limits else None
