"""lm-eval's `hf` model on the embedded checkpoint, and a clock that a busy machine cannot fool."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from olmes.models.checkpoint.smollm2 import embedded_folder

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """A result, its wall seconds, and the processor seconds of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def load(batch_size: int | str) -> Any:
    """The model, loaded; float32 on the CPU, as ours is there."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(
        pretrained=str(embedded_folder()), device="cpu", dtype="float32", batch_size=batch_size
    )


def ask(kind: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
    """lm-eval's requests of a kind (`generate_until` or `loglikelihood`)."""
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, one, at) for at, one in enumerate(arguments)]


def quietly(work: Callable[[], T]) -> T:
    """`work()` without its progress bars."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return work()


def conditions() -> str:
    """What the numbers were taken under."""
    from importlib.metadata import version

    import torch

    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "lm-eval"))
    load_average = os.getloadavg()[0]
    return f"{packages}; {torch.get_num_threads()} threads, load average {load_average:.1f}"
