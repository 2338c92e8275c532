"""Rows of a file under seal: unpacked as far as such a file can be, in bytes and in time."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from olmes.server.intake.sample_rows import lines_of
from olmes.server.refusals import RefusedError

LARGEST_RATIO = 200
"""Bytes out of a packed one. Samples that repeat a long prompt unpack to some 70; a bomb to 1,000."""
SMALL = 16 << 20
"""Bytes that any file may unpack to, whatever its ratio."""
SECONDS = 20.0
"""Processor time that any file may take."""
SECONDS_A_MEGABYTE = 30.0
"""Processor time for each megabyte packed; samples take a tenth of it."""
LOOKED_AT = 500
"""Rows between two looks at the clock."""


def sealed_lines(packed: BinaryIO, size: int, name: str, most: int) -> Iterator[bytes]:
    """The lines of a file under seal, without their ends.

    Args:
        packed: the file, gzipped.
        size: its bytes.
        name: what it is called in messages.
        most: bytes that any file may unpack to.

    Raises:
        RefusedError: it is damaged, or unpacks to more than a file of its size can hold.
    """
    most = min(most, max(SMALL, LARGEST_RATIO * size))
    seconds = SECONDS + SECONDS_A_MEGABYTE * size / (1 << 20)
    # Not the clock on the wall: on a busy machine everything takes longer.
    end = time.thread_time() + seconds
    try:
        with gzip.open(packed, "rb") as stream:
            for number, line in enumerate(lines_of(cast(IO[bytes], stream), name, most)):
                if number % LOOKED_AT == 0 and time.thread_time() > end:
                    raise RefusedError(
                        413, f"{name} takes longer than {seconds:.0f} seconds to unpack.", name
                    )
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise RefusedError(422, f"{name} cannot be unpacked ({error}).", name) from None
