"""Who may read a store: its owner, or the group that was let into its folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.olmes.server.test_server_power import take

if TYPE_CHECKING:
    pass


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("mode", "mask"), [(0o700, 0o077), (0o755, 0o077), (0o750, 0o027), (0o770, 0o007)]
)
def test_a_store_is_open_to_the_group_that_its_folder_is_open_to(
    mode: int, mask: int, copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    folder.chmod(mode)
    with umask(0o002):
        take(str(folder), copy_run("shared"))
    assert stat.S_IMODE(folder.stat().st_mode) == mode
    for path in folder.rglob("*"):
        most = 0o777 if path.is_dir() else 0o666
        assert stat.S_IMODE(path.stat().st_mode) == most & ~mask, path


def test_a_store_of_an_older_olmes_is_closed_when_it_is_opened(
    copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    for name in ("staging", "pages", "artifacts/ab"):
        (folder / name).mkdir(parents=True)
    (folder / "olmes.db").touch(mode=0o644)
    with umask(0o022):
        take(str(folder), copy_run("old"))
    assert stat.S_IMODE((folder / "olmes.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "artifacts").stat().st_mode) == 0o700
