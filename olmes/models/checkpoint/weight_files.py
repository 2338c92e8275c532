"""Whether a file of weights was written to its end, told from its first bytes or its last."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

LONGEST_HEADER = 100_000_000
"""Bytes; what the safetensors format allows."""


def torn(file: Path) -> str:
    """Why a file of weights is not whole; empty where it is.

    Raises:
        OSError: it cannot be read.
    """
    return torn_safetensors(file) if file.suffix == ".safetensors" else torn_archive(file)


def torn_safetensors(file: Path) -> str:
    """Holds a safetensors file's size against its header, whose last offset is its tensors' end."""
    size = file.stat().st_size
    try:
        length, header = safetensors_header(file)
        ends = [int(tensor["data_offsets"][1]) for tensor in header.values()]
    except EOFError:
        return f"{size} bytes do not hold its header"
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return "its header cannot be read"
    wanted = 8 + length + max(ends, default=0)
    return "" if size == wanted else f"{size} of {wanted} bytes"


def safetensors_header(file: Path) -> tuple[int, dict[str, Any]]:
    """The length of a safetensors file's header in bytes, and the header without its metadata.

    The file is the header's length (8 bytes, little-endian), the header (JSON: name to `dtype`,
    `shape` and `data_offsets`), and the tensors (github.com/huggingface/safetensors, "Format").

    Raises:
        EOFError: the file ends within the header.
        ValueError: the header is not JSON.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > min(size - 8, LONGEST_HEADER):
            raise EOFError(f"{file} ends within its header")
        header = json.loads(stream.read(length))
    return length, {name: one for name, one in header.items() if name != "__metadata__"}


def torn_archive(file: Path) -> str:
    """Looks for the directory at the end of a `.bin` file, which torch writes as a zip archive."""
    return "" if zipfile.is_zipfile(file) else "the directory at its end is missing"
