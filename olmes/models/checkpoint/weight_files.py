"""Whether a file of weights was written to its end, by its first bytes or its last."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TypedDict

LONGEST_HEADER = 100_000_000
"""Bytes; what the safetensors format allows."""


class TensorInfo(TypedDict):
    """A tensor's entry in the header of a safetensors file."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def incomplete_reason(file: Path) -> str:
    """Why a file of weights is incomplete; empty where it is not.

    Raises:
        OSError: it cannot be read.
    """
    if file.suffix == ".safetensors":
        return incomplete_safetensors(file)
    return incomplete_archive(file)


def incomplete_safetensors(file: Path) -> str:
    """Compares a safetensors file's size with its header, whose last offset is its tensors' end."""
    size = file.stat().st_size
    try:
        length, header = safetensors_header(file)
        ends = [int(tensor["data_offsets"][1]) for tensor in header.values()]
    except EOFError:
        return f"{size} bytes, fewer than its header"
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return "its header cannot be read"
    expected = 8 + length + max(ends, default=0)
    return "" if size == expected else f"{size} of {expected} bytes"


def safetensors_header(file: Path) -> tuple[int, dict[str, TensorInfo]]:
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


def incomplete_archive(file: Path) -> str:
    """Looks for the directory at the end of a `.bin` file, which torch writes as a zip archive."""
    return "" if zipfile.is_zipfile(file) else "the directory at its end is missing"
