"""Samples as answers: read in a worker process, a slice of time after the other, by turns.

So a search through thousands of rows keeps no other reader waiting, and sixteen of one caller take
no more of the server than one does.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from anyio import to_thread
from fastapi import Response

from olmes.server.refusals import RefusedError
from olmes.server.routes.large_answers import LargeAnswer
from olmes.server.service import Service
from olmes.server.store.sample_parts import SamplePart, read_part
from olmes.server.store.sample_reading import MOST_BYTES, MOST_SEARCHED, Room, SampleFilter

SLICE = 0.1
"""Seconds of reading after which another caller has a turn."""
MOST_SLICES = 20
"""Slices of one answer; it then says where to go on."""


class SampleAnswer:
    """One answer of samples.

    Args:
        service: whose samples they are.
        who: asks, as for `Turns.turn`.
    """

    def __init__(self, service: Service, who: str) -> None:
        self.service = service
        self.who = who
        self.answer = LargeAnswer(service.settings.work_folder)
        self.slices = 0

    async def many(self, artifact: str, wanted: SampleFilter, start: int, limit: int) -> Response:
        """Samples that pass a filter, from a place on."""
        self.answer.write(b'{"samples":[')
        count = size = searched = 0
        following: int | None = start
        while following is not None and self.slices < MOST_SLICES:
            room = Room(
                rows=limit - count, size=MOST_BYTES - size, searched=MOST_SEARCHED - searched,
                seconds=SLICE,
            )  # fmt: skip
            part = await self._read(artifact, wanted, following, room)
            if part.count and count and size + part.size > MOST_BYTES:
                await self._drop(part)  # its first row is too much beside those before
                break
            if part.count:
                await self._add(part, b"," if count else b"")
            count, size, searched = count + part.count, size + part.size, searched + part.searched
            following = part.following
            if count == limit or size >= MOST_BYTES or searched >= MOST_SEARCHED:
                break
        self.answer.write(b'],"next":%b}' % (b"null" if following is None else b"%d" % following))
        return self.answer.response()

    async def one(self, artifact: str, at: int) -> Response:
        """The sample at a place."""
        part = await self._read(artifact, SampleFilter(), at, Room(rows=1))
        if not part.count:
            raise RefusedError(404, "there is no such sample.", "at")
        await self._add(part, b"")
        return self.answer.response()

    async def _read(
        self, artifact: str, wanted: SampleFilter, start: int, room: Room
    ) -> SamplePart:
        work = partial(read_part, self.service.settings, artifact, wanted, start, room)
        again, self.slices = self.slices > 0, self.slices + 1
        return await self.service.reading.run_for(self.who, work, again=again)

    async def _add(self, part: SamplePart, before: bytes) -> None:
        self.answer.write(before)
        if part.path:
            await to_thread.run_sync(self.answer.take, Path(part.path))
        else:
            self.answer.write(part.body)

    async def _drop(self, part: SamplePart) -> None:
        if part.path:
            await to_thread.run_sync(Path(part.path).unlink)
