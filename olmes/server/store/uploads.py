"""Uploads under way: a manifest in the database, the bytes in a staging folder.

A file of an upload lies at `staging/<upload>/<place in the manifest>`: both are the server's own
names. How far a file is, is its size; so a server that was killed resumes where it was.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from olmes.client.types import OpenUpload
from olmes.server.access.audit import Caller, write_audit
from olmes.server.intake.fields import TASK_NAME
from olmes.server.intake.run_files import FILE_NAME, run_content_hash
from olmes.server.observe import log
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.database import Database, now
from olmes.server.store.private import inner_folder
from olmes.server.store.schema import uploads
from olmes.server.store.upload_room import Claim, age, make_room

TOUCHED = 60.0
"""Seconds between two notes that bytes of an upload came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFile:
    """A file of a run, as the client says it is."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload under way."""

    id: str
    content_hash: str
    who: str
    replace: bool
    files: tuple[UploadFile, ...]

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 by name."""
        return {file.name: file.sha256 for file in self.files}


class Uploads:
    """Every upload under way."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.limits = settings.limits
        self.database = database
        self.folder = inner_folder(settings.work_folder / "staging")
        self.busy: set[str] = set()
        """Those that are being made runs."""
        self.noted: dict[str, float] = {}
        self.pause = min(60.0, max(1.0, self.limits.upload_age / 10))
        """Seconds between two sweeps."""

    def begin(self, files: list[UploadFile], caller: Caller, *, replace: bool) -> Upload:
        """Begin an upload, or find the one that the same caller began with the same content.

        Raises:
            RefusedError: a name is not a record's, the run is too large, or there is no room.
        """
        check_manifest(files, self.limits.file, self.limits.record, self.limits.upload)
        content_hash = run_content_hash({file.name: file.sha256 for file in files})
        upload = Upload(
            id=uuid.uuid4().hex,
            content_hash=content_hash,
            who=caller.name,
            replace=replace,
            files=tuple(files),
        )
        for _ in range(3):
            found = self._find(content_hash, caller.name)
            if found and (found.files, found.replace) == (upload.files, replace):
                (self.folder / found.id).mkdir(exist_ok=True)
                self.touch(found.id)
                return found
            if found:
                # The same run with a longer ledger, say: what was sent is sent again.
                self.drop(found.id)
            try:
                with self.database.writing() as connection:
                    size = sum(file.size for file in files)
                    claims = [claim_of(row) for row in connection.execute(select(*CLAIM))]
                    gone = make_room(claims, caller.name, size, self.limits, self.busy)
                    connection.execute(delete(uploads.table).where(uploads.id.in_(gone)))
                    connection.execute(
                        insert(uploads.table).values(
                            {
                                uploads.id: upload.id,
                                uploads.content_hash: content_hash,
                                uploads.who: caller.name,
                                uploads.replace: replace,
                                uploads.manifest: json.dumps([asdict(file) for file in files]),
                                uploads.started: now(),
                                uploads.size: size,
                                uploads.touched: now(),
                            }
                        )
                    )
            except IntegrityError:
                continue  # another process of the same caller was faster
            for name in gone:
                log.warning("an upload gave way", extra={"facts": {"upload": name}})
                self.clear(name)
            (self.folder / upload.id).mkdir()
            self.noted[upload.id] = time.monotonic()
            return upload
        raise RefusedError(409, "the same run is being uploaded by somebody else; try again.")

    def _find(self, content_hash: str, who: str) -> Upload | None:
        with self.database.reading() as connection:
            row = connection.execute(
                select(uploads.table).where(
                    uploads.content_hash == content_hash, uploads.who == who
                )
            ).first()
        return upload_of(row) if row else None

    def get(self, upload: str, caller: Caller) -> Upload:
        """An upload of this caller.

        Raises:
            RefusedError: there is none of this id, or it is somebody else's.
        """
        with self.database.reading() as connection:
            row = connection.execute(select(uploads.table).where(uploads.id == upload)).first()
        if row is None or (row.who != caller.name and caller.role != "admin"):
            raise RefusedError(404, "there is no such upload; begin it again.", "upload")
        return upload_of(row)

    def resume(self, upload: str, caller: Caller) -> Upload:
        """An upload of this caller, which goes on with it.

        Raises:
            RefusedError: as `get`.
        """
        found = self.get(upload, caller)
        self.touch(found.id)
        return found

    def touch(self, upload: str) -> None:
        """Note that an upload goes on."""
        clock = time.monotonic()
        if clock - self.noted.get(upload, float("-inf")) < TOUCHED:
            return
        try:
            with self.database.writing() as connection:
                one = uploads.id == upload
                connection.execute(
                    update(uploads.table).where(one).values({uploads.touched: now()})
                )
        except SQLAlchemyError as error:  # the bytes are what matters; the next ones note it
            facts = {"upload": upload, "why": str(error)}
            log.warning("an upload's time was not noted", extra={"facts": facts})
        else:
            self.noted[upload] = clock

    def under_way(self, caller: Caller) -> list[OpenUpload]:
        """The uploads under way, the one that began first at the top: an admin's all, others' own."""
        query = select(uploads.table).order_by(uploads.started, uploads.id)
        if caller.role != "admin":
            query = query.where(uploads.who == caller.name)
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        found = []
        for row in rows:
            upload = upload_of(row)
            here = sum(self.received(upload, place) for place in range(len(upload.files)))
            found.append(
                OpenUpload(
                    upload=row.id,
                    who=row.who,
                    files=len(upload.files),
                    size=row.size,
                    received=here,
                    started=row.started,
                    touched=row.touched or row.started,
                )
            )
        return found

    def path(self, upload: Upload, place: int) -> Path:
        """Where a file of an upload lies."""
        return self.folder / upload.id / str(int(place))

    def received(self, upload: Upload, place: int) -> int:
        """Bytes of a file that are here."""
        try:
            return self.path(upload, place).stat().st_size
        except FileNotFoundError:
            return 0

    async def write(
        self, upload: Upload, place: int, offset: int, chunks: AsyncIterator[bytes]
    ) -> int:
        """Add bytes to a file, as they arrive.

        Returns:
            How many bytes of it are here.

        Raises:
            RefusedError: the offset is not where the file ends, or it would grow beyond its size.
        """
        size = upload.files[place].size
        have = self.received(upload, place)
        if offset != have:
            raise RefusedError(
                409, f"{have} bytes of this file are here; resume from there.", "offset"
            )
        start = have
        # Without truncation and not through a link: the name is the server's own.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        try:
            descriptor = os.open(self.path(upload, place), flags, 0o600)
        except FileNotFoundError:
            raise RefusedError(404, "there is no such upload; begin it again.", "upload") from None
        with os.fdopen(descriptor, "ab") as stream:
            async for chunk in chunks:
                have += len(chunk)
                if have > size:
                    raise RefusedError(413, f"the file was said to have {size} bytes.", "size")
                if have - start > self.limits.chunk:
                    raise RefusedError(
                        413, f"send at most {self.limits.chunk:,} bytes at once.", "size"
                    )
                stream.write(chunk)
            stream.flush()
            # What the client is told is here is here after a power cut too.
            await to_thread.run_sync(os.fsync, stream.fileno())
        return have

    def sync(self, upload: Upload) -> dict[str, Path]:
        """The files of an upload, all of them whole.

        Raises:
            RefusedError: one is not here yet.
        """
        if not (self.folder / upload.id).is_dir():
            raise RefusedError(
                409,
                "the bytes of this upload are not at this server: several servers of one store need a "
                "shared --work folder, or a proxy that leads a client to the same one; begin it again.",
                "upload",
            )
        found = {}
        for place, file in enumerate(upload.files):
            have = self.received(upload, place)
            if have != file.size:
                raise RefusedError(
                    409, f"{file.name}: {have} of {file.size} bytes are here.", file.name
                )
            path = self.path(upload, place)
            if not file.size:
                path.touch()
            found[file.name] = path
        return found

    def drop(self, upload: str) -> None:
        """Forget an upload."""
        with self.database.writing() as connection:
            connection.execute(delete(uploads.table).where(uploads.id == upload))
        self.clear(upload)

    def give_up(self, upload: Upload, caller: Caller) -> None:
        """Forget an upload because somebody asks for it; one of somebody else's is in the audit log."""
        with self.database.writing() as connection:
            connection.execute(delete(uploads.table).where(uploads.id == upload.id))
            if upload.who != caller.name:
                write_audit(connection, caller, "upload dropped", upload.id, f"of {upload.who}")
        self.clear(upload.id)

    def clear(self, upload: str) -> None:
        """Remove the bytes of an upload that is over."""
        self.noted.pop(upload, None)
        shutil.rmtree(self.folder / upload, ignore_errors=True)

    def sweep(self) -> int:
        """Remove what nobody resumes: bytes without an upload, and uploads that stand still too long.

        Returns:
            How many were removed.
        """
        # The folders first: one that is made meanwhile has its row before it is there.
        lying = [place.name for place in self.folder.iterdir()]
        with self.database.reading() as connection:
            claims = [claim_of(row) for row in connection.execute(select(*CLAIM))]
        old = [
            one.id
            for one in claims
            if age(one.touched) > self.limits.upload_age and one.id not in self.busy
        ]
        for upload in old:
            self.drop(upload)
        known = {one.id for one in claims}
        stray = [name for name in lying if name not in known and name not in self.busy]
        for name in stray:
            self.clear(name)
        return len(old) + len(stray)


CLAIM = (uploads.id, uploads.who, uploads.size, uploads.touched, uploads.started)


def claim_of(row: Row[*tuple[Any, ...]]) -> Claim:
    """What the upload of a row takes up."""
    return Claim(id=row.id, who=row.who, size=row.size, touched=row.touched or row.started)


def upload_of(row: Row[*tuple[Any, ...]]) -> Upload:
    """An upload out of its row of the table of uploads."""
    return Upload(
        id=row.id,
        content_hash=row.content_hash,
        who=row.who,
        replace=row.replace,
        files=tuple(UploadFile(**file) for file in json.loads(row.manifest)),
    )


def check_manifest(files: list[UploadFile], most_file: int, most_record: int, most: int) -> None:
    """Hold the files of an upload against what a record can have.

    Raises:
        RefusedError: a name is not a record's or comes twice, run.json is missing, or it is too much.
    """
    names = [file.name for file in files]
    for place, name in enumerate(names):
        path = f"files.{place}.name"
        match = FILE_NAME.fullmatch(name)
        task = match and (match["open"] or match["sealed"])
        if match is None or (task and not re.fullmatch(TASK_NAME, task)) or "\n" in name:
            raise RefusedError(422, f"{path}: {name[:80]!r} is not a file of a record.", path)
        if names.count(name) > 1:
            raise RefusedError(422, f"{path}: {name} comes twice.", path)
    if "run.json" not in names:
        raise RefusedError(422, "files: run.json is missing.", "files")
    for place, file in enumerate(files):
        largest = most_record if file.name in ("run.json", "ledger.jsonl") else most_file
        if file.size > largest:
            path = f"files.{place}.size"
            raise RefusedError(413, f"{path}: {file.name} is larger than {largest:,} bytes.", path)
    if sum(file.size for file in files) > most:
        raise RefusedError(413, f"files: a run has at most {most:,} bytes.", "files")
