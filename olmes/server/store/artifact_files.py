"""Where artifacts lie: a folder, in which each is on the disk before it has its name, or an fsspec URL.

Of an object store is expected what it promises: an object that was put is there, whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from olmes.client.session import without_password
from olmes.errors import OlmesError
from olmes.server.store.private import inner_folder, private_folder, umask_in
from olmes.tools.durable_files import BUFFER, sync_folder
from olmes.tools.places import writing


class Incoming(io.RawIOBase):
    """A file that is written and gets its name at the end, out of what was written.

    Attributes:
        artifact: its name; '' as long as it has none, and then it is not kept.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()
        self.artifact = ""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any) -> int:
        """Write all of it."""
        self.digest.update(content)
        self.stream.write(content)
        return memoryview(content).nbytes

    @property
    def sha256(self) -> str:
        """Of what was written until now."""
        return self.digest.hexdigest()


class ArtifactFiles:
    """The files of artifacts by their names.

    Args:
        place: a folder or an fsspec URL.

    Raises:
        OlmesError: the place cannot hold files.
    """

    def __init__(self, place: str) -> None:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        if "://" not in place:
            place = str(Path(place).resolve())
            with writing(Path(place), "name another place with --artifacts"):
                private_folder(Path(place))
        try:
            self.files, self.root = fsspec.core.url_to_fs(place)
            self.files.makedirs(self.root, exist_ok=True)
        except (ImportError, ValueError, OSError) as error:
            shown = without_password(place) if "://" in place else place
            why = str(error).replace(place, shown)
            raise OlmesError(
                f"{shown} cannot hold samples ({why}); name a folder or an fsspec URL."
            ) from None
        self.local = isinstance(self.files, LocalFileSystem)

    def path(self, artifact: str) -> str:
        """Where an artifact is; 256 folders keep each short."""
        return f"{self.root}/{artifact[:2]}/{artifact}"

    def exists(self, artifact: str) -> bool:
        """Whether there is such an artifact."""
        return bool(self.files.exists(self.path(artifact)))

    def open(self, artifact: str) -> Any:
        """An artifact's bytes."""
        return self.files.open(self.path(artifact), "rb")

    def stamp(self, artifact: str) -> tuple[int, ...]:
        """What changes with a file in a folder.

        Raises:
            FileNotFoundError: it is not there.
        """
        status = Path(self.path(artifact)).stat()
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    @contextlib.contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A file to write into; it is kept under the name that it has at the end of the block.

        It takes the place of one of the same name, which may be damaged.
        """
        temporary = f"{self.root}/incoming-{uuid.uuid4().hex}"
        try:
            with self._fresh(temporary) as stream:
                file = Incoming(stream)
                yield file
                if self.local:
                    stream.flush()
                    os.fsync(stream.fileno())
            if file.artifact:
                self._name(temporary, file.artifact)
        finally:
            with contextlib.suppress(FileNotFoundError):
                self.files.rm(temporary)

    def _fresh(self, path: str) -> Any:
        if not self.local:
            return self.files.open(path, "wb")
        mode = 0o666 & ~umask_in(Path(self.root))
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        return os.fdopen(handle, "wb", BUFFER)

    def _name(self, temporary: str, artifact: str) -> None:
        place = self.path(artifact)
        if self.local:
            folder = inner_folder(Path(place).parent)
            Path(temporary).replace(place)
            sync_folder(folder)
        else:
            self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
            self.files.mv(temporary, place)

    def copy_in(self, source: Path, artifact: str) -> None:
        """Keep a file as it is under a name (sealed files, restored artifacts)."""
        with source.open("rb") as stream, self.incoming() as file:
            shutil.copyfileobj(stream, file, BUFFER)
            file.artifact = artifact

    def copy_out(self, artifact: str, target: BinaryIO) -> None:
        """Write an artifact's bytes into a file.

        Raises:
            FileNotFoundError: it is not there.
        """
        with self.open(artifact) as stream:
            shutil.copyfileobj(stream, target, BUFFER)

    def sweep(self, named: Collection[str], age: float) -> int:
        """Remove what no run names any more, and what a killed process left half written.

        Args:
            named: the artifacts of every run; asked for before this call.
            age: seconds since it was written; what is younger may be of a run about to be added.

        Returns:
            How many were removed.
        """
        count = 0
        for path in self.files.find(self.root):
            if path.rpartition("/")[2] in named:
                continue
            # Another server may have removed it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - self.files.modified(path).timestamp() > age:
                    self.files.rm_file(path)
                    count += 1
        return count
