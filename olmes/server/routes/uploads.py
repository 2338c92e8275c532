"""Uploading a run: its manifest, its files in pieces, then the whole of it at once."""

from __future__ import annotations

import tempfile
from pathlib import Path as FilePath
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Path, Query, Request, Response

from olmes.client.types import (
    Committed,
    FileState,
    Opened,
    Received,
    RunSummary,
    UploadList,
    UploadState,
)
from olmes.records.schema import LARGEST
from olmes.server.access.audit import Caller
from olmes.server.intake.run_files import run_content_hash
from olmes.server.json_response import JsonRoute
from olmes.server.refusals import RefusedError
from olmes.server.routes.shapes import UPLOAD_ERRORS, Manifest, UploadId
from olmes.server.service import Service, caller_of, service_of, summary
from olmes.server.store.repair import damaged
from olmes.server.store.table_rows import RunRow
from olmes.server.store.uploads import Upload, UploadFile, check_manifest

router = APIRouter(
    prefix="/api/v1", tags=["uploads"], responses=UPLOAD_ERRORS, route_class=JsonRoute
)
BYTES = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/uploads", status_code=201, responses={200: {"model": UploadState}})
async def begin_upload(
    request: Request, response: Response, manifest: Annotated[Manifest, Body()]
) -> UploadState:
    """Begin an upload, or resume the one that was begun with the same files.

    A run whose content is here already, all of it, is `present`: there is nothing to do.
    """
    service, caller = service_of(request), caller_of(request)
    return await to_thread.run_sync(begin, service, caller, manifest, response)


def begin(service: Service, caller: Caller, manifest: Manifest, response: Response) -> UploadState:
    """`begin_upload`, in a thread."""
    files = [UploadFile(name=f.name, size=f.size, sha256=f.sha256) for f in manifest.files]
    limits = service.settings.limits
    check_manifest(files, limits.file, limits.record, limits.upload)
    content_hash = run_content_hash({file.name: file.sha256 for file in files})
    present = service.store.by_hash(content_hash)
    if present and not damaged(service.store, present.id):
        response.status_code = 200
        return UploadState(
            state="present",
            upload=None,
            content_hash=content_hash,
            files=[],
            run=summarised(service, present),
        )
    upload = service.uploads.begin(files, caller, replace=manifest.replace)
    return state_of(service, upload)


def state_of(service: Service, upload: Upload) -> UploadState:
    """How far an upload is."""
    return UploadState(
        state="open",
        upload=upload.id,
        content_hash=upload.content_hash,
        files=[
            FileState(
                name=file.name, size=file.size, received=service.uploads.received(upload, place)
            )
            for place, file in enumerate(upload.files)
        ],
        run=None,
    )


def summarised(service: Service, row: RunRow) -> RunSummary:
    """A run with the numbers of its tasks."""
    return summary(row, service.store.primaries([row.seq])[row.seq])


@router.get("/uploads")
def list_uploads(request: Request) -> UploadList:
    """Uploads under way: all of them with the role admin, else the caller's own."""
    return UploadList(uploads=service_of(request).uploads.under_way(caller_of(request)))


@router.get("/uploads/{upload}")
def upload_state(request: Request, upload: UploadId) -> UploadState:
    """How far an upload is."""
    service = service_of(request)
    return state_of(service, service.uploads.get(upload, caller_of(request)))


@router.put("/uploads/{upload}/files/{place}", openapi_extra=BYTES)
async def upload_bytes(
    request: Request,
    upload: UploadId,
    place: Annotated[int, Path(ge=0, le=2001, description="Place of the file in the manifest.")],
    offset: Annotated[int, Query(ge=0, le=LARGEST, description="Bytes that were sent before.")],
) -> Received:
    """Add bytes to a file of an upload."""
    service = service_of(request)
    found = await to_thread.run_sync(service.uploads.resume, upload, caller_of(request))
    if place >= len(found.files):
        raise RefusedError(404, f"the upload has {len(found.files)} files.", "place")
    async with service.lock(upload):
        received = await service.uploads.write(found, place, offset, request.stream())
    service.numbers.bytes.inc(received - offset)
    return Received(received=received)


@router.post("/uploads/{upload}/commit", status_code=201, responses={200: {"model": Committed}})
async def commit_upload(request: Request, response: Response, upload: UploadId) -> Committed:
    """Check a whole upload and make it a run, visible at once.

    A refusal names the field of run.json, or the line of a samples file, that is not in order.
    """
    service, caller = service_of(request), caller_of(request)
    async with service.lock(upload):
        found = await to_thread.run_sync(service.uploads.resume, upload, caller)
        run, new = await service.commit(found, caller)
    request.app.state.pages.expire()
    response.status_code = 201 if new else 200
    return Committed(new=new, run=await to_thread.run_sync(summarised, service, run))


@router.delete("/uploads/{upload}", status_code=204)
async def drop_upload(request: Request, upload: UploadId) -> None:
    """Give an upload up: one's own, or with the role admin anybody's."""
    service = service_of(request)
    async with service.lock(upload):
        found = await to_thread.run_sync(service.uploads.get, upload, caller_of(request))
        await to_thread.run_sync(service.uploads.give_up, found, caller_of(request))


@router.post("/ledger", openapi_extra=BYTES)
async def extend_ledger(request: Request) -> Opened:
    """Add to a ledger: send the whole file. Runs that it says were unsealed can be read then.

    That is so for the caller's own runs; an admin opens any. The others are `closed`, with the reason.
    """
    service = service_of(request)
    most = service.settings.limits.record
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise RefusedError(413, f"a ledger has at most {most:,} bytes.", "ledger.jsonl")
    with tempfile.TemporaryDirectory(dir=service.settings.work_folder) as folder:
        path = FilePath(folder) / "ledger"
        path.write_bytes(content)
        found = await service.extend_ledger(path, caller_of(request))
    request.app.state.pages.expire()
    return found
