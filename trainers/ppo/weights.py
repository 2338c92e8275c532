"""The policy's weights where learner and generators both see them: in memory, never on the disk."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

Load = Callable[[Any, Mapping[str, Tensor]], None]
PAUSE = 0.01
"""Seconds between two tries for the lock."""
PREFIX = "olmes-weights-"
OWNER = "owner"
"""A file that the process which made the folder holds the lock of, as long as it lives."""
YOUNG_SECONDS = 60.0
"""Whoever makes a folder has locked it by then."""


def sweep() -> None:
    """Remove the folders of processes that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), (folder / OWNER).open("rb") as file:  # gone, or another user's
            if time.time() - folder.stat().st_mtime < YOUNG_SECONDS:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


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
        sweep()
        self.folder = tempfile.mkdtemp(prefix=PREFIX)
        (Path(self.folder) / "lock").touch()
        self.owner: BinaryIO | None = (Path(self.folder) / OWNER).open("wb")
        fcntl.flock(self.owner, fcntl.LOCK_EX)

    def __getstate__(self) -> dict[str, Any]:
        """All but the sign of the owner, which a process that only reads does not have."""
        return {**self.__dict__, "owner": None}

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
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.owner is not None:
            self.owner.close()


@torch.no_grad()  # type: ignore[untyped-decorator]
def load_weights(model: Any, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a model's own, in its precision and on its device."""
    for name, tensor in model.state_dict().items():
        tensor.copy_(tensors[name])
