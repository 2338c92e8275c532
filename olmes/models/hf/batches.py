"""Running rows in batches that shrink when memory does not suffice."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar


class BatchRow(Protocol):
    """One row of a batch."""

    @property
    def finished(self) -> bool:
        """Whether its result has been reported."""


R = TypeVar("R", bound=BatchRow)


def out_of_memory(error: Exception) -> bool:
    """Whether an exception says that memory did not suffice, on whatever device."""
    import torch

    # torch.OutOfMemoryError is what accelerators raise; the CPU's allocator has no type of its own.
    allocator = isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("DefaultCPUAllocator", "out of memory")
    )
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or allocator


def release_memory() -> None:
    """Free the memory of a failed batch."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def run_in_batches(
    rows: Sequence[R],
    size: int,
    work: Callable[[list[R]], None],
    fail: Callable[[R, str], None],
) -> None:
    """Do `work` on `size` rows at a time; out of memory, continue with half as many.

    Rows that a failed batch finished are not done again. A row that does not fit alone is given to
    `fail` with the reason, and the others continue.
    """
    waiting = list(rows)
    while waiting:
        batch, reason = waiting[:size], ""
        try:
            work(batch)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = str(error).strip().split("\n")[0] or type(error).__name__
        # Outside the handler: the exception's frames no longer hold the batch's tensors.
        if reason:
            release_memory()
            if len(batch) == 1 and not batch[0].finished:
                fail(batch[0], f"out of memory even in a batch of one: {reason}")
            size = max(1, len(batch) // 2)
        waiting = [row for row in batch if reason and not row.finished] + waiting[len(batch) :]
