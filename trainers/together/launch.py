"""Several processes: the launch line of a recipe, printed and run.

The line is plain `torchrun` and the same on every machine: how weights are shared and on what is
computed is decided by each process where it runs (`trainers/on_trl/arguments.py`), so that a line that
is printed on a login node is right for the nodes with GPUs.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from olmes.errors import OlmesError
from olmes.trainers.on_trl.arguments import check_strategy
from olmes.trainers.recipes.stages import Recipe

TORCHRUN = "torchrun"
MODULE = "torch.distributed.run"
PORT = "29500"
MARK = "OLMES_LAUNCHED"
"""Set for what is launched, so that it never launches itself again."""
PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): the signal a process gets when its parent has ended."""


def launch_line(recipe: Recipe, arguments: Sequence[str]) -> list[str]:
    """The command that trains a recipe in its number of processes.

    Args:
        recipe: its `hardware` is read.
        arguments: of `olmes`.
    """
    hardware = recipe.hardware
    share = hardware.processes // hardware.machines
    line = [TORCHRUN, "--nproc_per_node", str(share), "--nnodes", str(hardware.machines)]
    if hardware.machines > 1:
        line += ["--node_rank", "$RANK", "--master_addr", "$HOST", "--master_port", PORT]
    else:
        line += ["--standalone"]  # a port that is free, so that trainings go on side by side
    return [*line, "-m", "olmes", *arguments]


def launch(recipe: Recipe, arguments: Sequence[str], *, say: Callable[[str], None]) -> None:
    """Print the line and run it.

    Raises:
        OlmesError: it is for several machines, or a process of it failed.
    """
    if MARK in os.environ:
        raise OlmesError(
            f"the launcher did not start {recipe.hardware.processes} processes; compare "
            "hardware.processes with this machine."
        )
    check_strategy(recipe)
    line = launch_line(recipe, arguments)
    say(f"launching: {shown(line)}")
    if recipe.hardware.machines > 1:
        raise OlmesError(
            f"this training is for {recipe.hardware.machines} machines; run the line above on each, "
            "with its RANK (0 is the first) and the first one's HOST."
        )
    command = [sys.executable, "-m", MODULE, *line[1:]]
    # torch prints stacks of C++ where a process has gone; a sentence says so.
    env = {"TORCH_CPP_LOG_LEVEL": "ERROR", **os.environ, MARK: "1"}
    ended = subprocess.run(command, check=False, env=env, preexec_fn=end_with_parent)
    if ended.returncode:
        raise OlmesError(
            "a process of the training failed (its lines are above); the same command resumes from "
            "the last checkpoint."
        )


def end_with_parent() -> None:
    """Have this process end when the one that started it does, however that ends (on Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def shown(line: Sequence[str]) -> str:
    """A command as one types it; `$RANK` and `$HOST` stay for the shell."""
    return " ".join(part if part.startswith("$") else shlex.quote(part) for part in line)
