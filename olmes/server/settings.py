"""Where a store is and what it takes in; small and picklable, because worker processes need it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from olmes.server.store.private import inner_folder, private_folder
from olmes.tools.places import writing

FOLDER = "olmes-store"
"""The store of `olmes serve` with no options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is taken in at most."""

    record: int = 16 << 20
    """Bytes of run.json and of a ledger."""
    file: int = 2 << 30
    """Bytes of a samples file, unpacked where it is packed."""
    upload: int = 4 << 30
    """Bytes of a run."""
    chunk: int = 32 << 20
    """Bytes of one request."""
    open_uploads: int = 200
    """Uploads under way of one caller."""
    all_uploads: int = 2000
    """Uploads under way, of everybody."""
    staging: int = 64 << 30
    """Bytes that the uploads under way may have together, as their manifests say."""
    idle: int = 600
    """Seconds without a byte after which an upload gives way to another that has no room."""
    upload_age: int = 24 * 3600
    """Seconds without a byte after which an upload is dropped."""
    artifact_age: int = 24 * 3600
    """Seconds after which samples that no run names are removed at the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A store: its database, its artifacts and its folder for work."""

    store: str = FOLDER
    """A folder, or the URL of a PostgreSQL database."""
    artifacts: str = ""
    """A folder or fsspec URL for samples; in the work folder when empty."""
    work: str = ""
    """Local folder of uploads under way and of the pages; the store's own when it is a folder."""
    limits: Limits = Limits()

    @property
    def work_folder(self) -> Path:
        """The local folder, made when it is not there.

        Raises:
            OlmesError: it cannot be made.
        """
        place = self.work or (FOLDER if "://" in self.store else self.store)
        folder = Path(place).resolve()
        with writing(folder, f"name another folder with {'--work' if self.work else '--store'}"):
            private_folder(folder)
        return folder

    @property
    def artifacts_place(self) -> str:
        """Where samples are kept."""
        return self.artifacts or str(inner_folder(self.work_folder / "artifacts"))
