"""The folder that a sandbox sees as `/olmes`: the guard, and who there is."""

from __future__ import annotations

import contextlib
import py_compile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from olmes.sandbox.system_calls import call_filter

FILES = ("guard", "guarded")
"""Modules that are read and not imported: they are for Linux alone."""
USER = 65534
"""As the guard's."""
CALLS = "calls"
"""Name of the file with the filter of system calls; empty where there is none for this machine."""
USERS = {
    "passwd": "root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"
    f"nobody:x:{USER}:{USER}::/tmp:/bin/sh\n",
    "group": f"root:x:0:\nuser:x:1000:\nnogroup:x:{USER}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
"""Files of `/etc`, which are the machine's own nowhere."""


@contextlib.contextmanager
def laid_out() -> Iterator[Path]:
    """The folder, until the block ends: bytecode for this Python, sources for that of a container."""
    with tempfile.TemporaryDirectory(prefix="olmes-sandbox-") as path:
        folder = Path(path)
        folder.chmod(0o755)
        for name in FILES:
            source = Path(__file__).with_name(f"{name}.py")
            (folder / "source").mkdir(exist_ok=True)
            (folder / "source" / source.name).write_bytes(source.read_bytes())
            compiled = folder / f"{name}.pyc"
            py_compile.compile(str(source), str(compiled), dfile="<olmes>", doraise=True)
        for file, text in USERS.items():
            (folder / file).write_text(text, encoding="ascii")
        (folder / CALLS).write_bytes(call_filter())
        yield folder
