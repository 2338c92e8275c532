"""Modes of new and replaced files, what killed writers leave, and faults while a file is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from olmes.tools.durable_files import (
    as_umask_says,
    atomic_writer,
    make_folder,
    umask,
    unfinished_prefix,
    write_atomically,
)
from tests.fault_points import FAULTS, Fault, in_child

MASKS = [(0o022, 0o644), (0o077, 0o600), (0o007, 0o660), (0o027, 0o640), (0o002, 0o664)]


@contextmanager
def under(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("mask", "mode"), MASKS)
def test_a_new_file_has_the_mode_that_the_umask_says(tmp_path: Path, mask: int, mode: int) -> None:
    with under(mask):
        assert umask() == mask
        write_atomically(tmp_path / "new", "text")
        temporary = tmp_path / "temporary"
        temporary.touch(0o600)
        as_umask_says(temporary)
    assert mode_of(tmp_path / "new") == mode_of(temporary) == mode


@pytest.mark.parametrize(("before", "after"), [(0o600, 0o600), (0o640, 0o640), (0o666, 0o644)])
def test_a_replaced_file_is_not_open_to_more_than_before(
    tmp_path: Path, before: int, after: int
) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(before)
    with under(0o022):
        write_atomically(path, "text")
    assert mode_of(path) == after


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_is_the_old_one_or_the_new_one_wherever_it_was_stopped(
    tmp_path: Path, fault: Fault
) -> None:
    path, log = tmp_path / "deep/folder/file", tmp_path / "log"
    work = partial(write_atomically, path, "new" * 100_000)
    count = in_child(work, log)
    assert count > 5
    for at in range(1, count + 1):
        write_atomically(path, "old")
        in_child(work, log, at=at, fault=fault)
        assert path.read_text() in ("old", "new" * 100_000)
        write_atomically(path, "next")
        assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_the_unfinished_file_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    foreign = tmp_path / ".file.00000000-1-1-0"  # of another machine
    foreign.touch()
    dead = path.with_name(f"{unfinished_prefix(path)}999999999-5-0")
    dead.touch()
    with atomic_writer(path) as outer:
        outer.write(b"outer")
        write_atomically(path, "inner")
    assert path.read_text() == "outer"
    assert sorted(tmp_path.iterdir()) == sorted([path, foreign])


def test_a_file_where_a_folder_is_needed_is_said_as_before(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises((FileExistsError, NotADirectoryError)):
            make_folder(folder)
    with pytest.raises((FileExistsError, NotADirectoryError)) as told:
        write_atomically(tmp_path / "file/below", "text")
    assert told.value.filename == str(tmp_path / "file/below")


def test_a_long_name_has_room_for_the_unfinished_one(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomically(path, "text")
    assert path.read_text() == "text"
