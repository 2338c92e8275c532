"""The policy's weights where learner and generators both see them: in memory, never on the disk."""

from __future__ import annotations

import fcntl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Load = Callable[[Any, Mapping[str, Tensor]], None]
PAUSE = 0.01
"""Seconds between two tries for the lock."""


class SharedWeights:
    """One copy of a model's weights in shared memory, with the version they are of.

    Pickled to a spawned process it is the same memory there. A lock keeps a reader from seeing half
    of a version. It is the kernel's lock on an (empty) file, which goes with its holder: a process
    that is killed while it copies blocks nobody, as it would with a lock of `multiprocessing`.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.tensors: dict[str, Tensor] = {
            name: torch.empty_like(tensor, device="cpu").share_memory_()
            for name, tensor in weights.items()
        }
        self.number = torch.full((1,), -1, dtype=torch.int64).share_memory_()
        self.folder = tempfile.mkdtemp(prefix="olmes-weights-")
        (Path(self.folder) / "lock").touch()

    @contextmanager
    def locked(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Alone with the weights; `meanwhile` is called now and then while another has them."""
        with (Path(self.folder) / "lock").open("rb") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    meanwhile()
                    time.sleep(PAUSE)
            yield

    def write(
        self, weights: Mapping[str, Tensor], version: int,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Put a model's weights there as `version`; `meanwhile` as of `locked`."""
        with self.locked(meanwhile), torch.no_grad():
            for name, tensor in weights.items():
                self.tensors[name].copy_(tensor)
            self.number[0] = version

    def read(self, model: Any, version: int, load: Load | None = None) -> int:
        """Load the newest weights into a model that holds `version`; the version it holds then.

        Args:
            model: a model of transformers, or whatever `load` is for.
            version: what it holds.
            load: called with `model` and the tensors; None copies them into the model's own.
        """
        with self.locked():
            newest = int(self.number[0])
            if newest != version:
                (load or load_weights)(model, self.tensors)
        return newest

    def close(self) -> None:
        """Remove the lock's file; the memory goes with its last user."""
        (Path(self.folder) / "lock").unlink(missing_ok=True)
        Path(self.folder).rmdir()


@torch.no_grad()  # type: ignore[untyped-decorator]
def load_weights(model: Any, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a model's own, in its precision and on its device."""
    for name, tensor in model.state_dict().items():
        tensor.copy_(tensors[name])
