"""Starting vLLM: the GPU it is given, and the window it needs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from typing import Any

from olmes.errors import OlmesError
from olmes.models.vllm_errors import NO_GPU

STEP = 1024
"""Windows are made in steps of so many tokens, so that one engine does for later requests."""
DEPENDENT = ("longrope", "su", "dynamic")
"""Kinds of rope whose frequencies vLLM takes from the engine's window: another changes the outputs."""


def window_for(need: int, window: int | None, config: Any) -> int | None:
    """The window of an engine: what requests need, in steps, where the model's own is larger.

    An engine reserves memory for one request of its whole window at the least, and of 131,072 tokens
    most GPUs have no room for that.

    Args:
        need: tokens of the longest prompt with its answer.
        window: the model's own; None where there is no limit.
        config: the model's, which says whether the window changes its outputs.
    """
    if window is None or depends_on_window(config):
        return window
    return min(window, max(2 * STEP, -(-need // STEP) * STEP))


def depends_on_window(config: Any) -> bool:
    """Whether outputs depend on the engine's window."""

    def found(value: Any) -> bool:
        if not isinstance(value, Mapping):
            return False
        kinds = (value.get("rope_type"), value.get("type"))
        return any(kind in DEPENDENT for kind in kinds) or any(map(found, value.values()))

    return any(found(getattr(config, name, None)) for name in ("rope_scaling", "rope_parameters"))


@contextlib.contextmanager
def on_device(device: str, engines: int) -> Iterator[None]:
    """Let vLLM see the one GPU that is asked for; it takes the first it sees.

    Args:
        device: as of `--device`.
        engines: GPUs that one copy of the model takes.

    Raises:
        OlmesError: vLLM cannot be given this device.
    """
    kind, _, index = device.partition(":")
    if kind in ("auto", "mps"):
        raise OlmesError(
            f"--device {device} is for hf:; leave it out, or spread the model over N GPUs with "
            "vllm:NAME?tensor_parallel_size=N."
        )
    if not index:
        yield
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = [one.strip() for one in before.split(",")] if before else []
    # What is asked for counts among those this process sees.
    name = seen[int(index)] if int(index) < len(seen) else index
    if engines > 1:
        raise OlmesError(
            f"--device {device} is one GPU, and the model is to be spread over {engines}; name them "
            "with CUDA_VISIBLE_DEVICES=0,1,... and leave --device out."
        )
    if os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") == "0" and cuda_is_up():
        raise OlmesError(
            f"--device {device} comes too late in a process that uses a GPU already; start it with "
            f"CUDA_VISIBLE_DEVICES={name} and leave --device out."
        )
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def cuda_is_up() -> bool:
    """Whether this process has GPUs in use, whose choice cannot change any more."""
    import torch

    return bool(torch.cuda.is_initialized())


def check_installed(otherwise: str) -> None:
    """Refuse to begin without vLLM.

    Args:
        otherwise: what can be done without it.

    Raises:
        OlmesError: it is not there.
    """
    if importlib.util.find_spec("vllm") is None:
        raise OlmesError(
            "vLLM is not installed in this environment; run `pip install vllm` (on a CPU see "
            f"`make test-vllm`), or {otherwise}."
        )


def check_runs_on_cpu() -> None:
    """Refuse a vLLM for GPUs on a machine, or for a user, without one.

    Raises:
        OlmesError: it is one.
    """
    try:
        from vllm.platforms import current_platform
    except ImportError:  # a version without: the engine says it itself
        return
    if not current_platform.is_cpu():
        raise OlmesError(f"{NO_GPU} (for --device cpu, vLLM must be the build for CPUs).")
