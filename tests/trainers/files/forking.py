"""Imports what trainings need once, then forks a process for each order on standard input.

Importing torch and TRL takes seconds a process, which a test with many short trainings spends on
nothing else. A child runs `olmes` by its own `main`, with its own environment, folder and output.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import sys
import traceback
from typing import Any

IMPORTED = ("torch", "transformers", "datasets", "accelerate", "peft", "trl", "olmes.cli")
LAZY = ("SFTTrainer", "DPOTrainer", "GRPOTrainer", "RewardTrainer", "SFTConfig")


def prepare() -> None:
    """Import what is slow."""
    for name in IMPORTED:
        importlib.import_module(name)
    trl = importlib.import_module("trl")
    for name in LAZY:
        getattr(trl, name)


def answer(**said: Any) -> None:
    """A line for whoever gives the orders."""
    os.write(1, (json.dumps(said) + "\n").encode())


def run(order: dict[str, Any]) -> None:
    """In the child: become what was ordered, and end with the exit status of `olmes`."""
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(number, target)
    os.setsid()
    os.environ.update(order["env"])
    os.chdir(order["folder"])
    sys.argv = ["olmes", *order["arguments"]]
    status = 1
    try:
        from olmes.cli import main

        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def reap() -> None:
    """Tell how children ended."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        answer(process=process, status=os.waitstatus_to_exitcode(status))


def main() -> None:
    """Take orders until the pipe closes."""
    prepare()
    answer(ready=True)
    pending = b""
    while True:
        reap()
        if not select.select([0], [], [], 0.02)[0]:
            continue
        read = os.read(0, 1 << 16)
        if not read:
            return
        *lines, pending = (pending + read).split(b"\n")
        for line in lines:
            process = os.fork()
            if process == 0:
                run(json.loads(line))
            answer(started=process)


if __name__ == "__main__":
    main()
