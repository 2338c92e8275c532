"""`olmes` in one or several processes that train together, started within a fraction of a second."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

FORKING = Path(__file__).parent / "files/forking.py"


@dataclass
class Running:
    """Processes of one command."""

    launcher: Launcher
    processes: list[int]
    outputs: list[Path]

    def wait(self, seconds: float = 300) -> list[int]:
        """The exit statuses, by rank; negative for a signal.

        Raises:
            TimeoutError: some still run; all are killed first.
        """
        end = time.monotonic() + seconds
        with self.launcher.changed:
            while not all(p in self.launcher.ended for p in self.processes):
                if not self.launcher.changed.wait(max(0.0, end - time.monotonic())):
                    break
        if not all(p in self.launcher.ended for p in self.processes):
            self.kill()
            raise TimeoutError(f"still running after {seconds:g} s:\n{self.text()}")
        return [self.launcher.ended[p] for p in self.processes]

    def good(self, seconds: float = 300) -> str:
        """What was printed, when every process ended well."""
        statuses = self.wait(seconds)
        assert not any(statuses), f"{statuses}\n{self.text()}"
        return self.text()

    def kill(self, how: int = signal.SIGKILL) -> None:
        """Send a signal to each process and all it started."""
        for process in self.processes:
            if process not in self.launcher.ended:
                with suppress(ProcessLookupError):
                    os.killpg(process, how)

    def text(self) -> str:
        """What was printed, rank after rank."""
        return "".join(path.read_text("utf-8", "replace") for path in self.outputs)


@dataclass
class Launcher:
    """A process that has imported everything and forks one for each rank."""

    ended: dict[int, int] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(FORKING)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Passive, because idle threads that spin slow small models down many times.
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "OMP_NUM_THREADS": "1",
                "OMP_WAIT_POLICY": "PASSIVE",
                "HF_HUB_OFFLINE": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "TOKENIZERS_PARALLELISM": "false",
                "TORCH_CPP_LOG_LEVEL": "ERROR",  # as `olmes` sets it for what it launches
            },
        )
        self.started: list[int] = []
        self.ready = threading.Event()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        """Note what the forking process says."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            with self.changed:
                if "started" in said:
                    self.started.append(said["started"])
                elif "process" in said:
                    self.ended[said["process"]] = said["status"]
                self.changed.notify_all()
            self.ready.set()

    def start(
        self,
        arguments: Sequence[str | Path],
        folder: Path,
        *,
        processes: int = 1,
        env: Mapping[str, str] | None = None,
        own: Sequence[Mapping[str, str]] = (),
        machines: int = 1,
    ) -> Running:
        """Run `olmes ARGUMENTS` in some processes, as a launcher would.

        Args:
            arguments: of `olmes`.
            folder: working folder; each rank's output lies in it.
            processes: how many; with 1 there is no group.
            env: for all.
            own: for each rank, such as a home of its own.
            machines: over which the ranks are spread evenly.
        """
        assert self.ready.wait(120), "the forking process did not start"
        port = free_port()
        outputs = []
        before = len(self.started)
        for rank in range(processes):
            here = processes // machines
            group = {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank % here),
                "WORLD_SIZE": str(processes),
                "LOCAL_WORLD_SIZE": str(here),
                "GROUP_RANK": str(rank // here),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            output = folder / f"output-{time.monotonic_ns()}-{rank}.txt"
            outputs.append(output)
            output.touch()
            self.order(
                arguments=list(map(str, arguments)),
                folder=str(folder),
                output=str(output),
                env={
                    # What a test has set since the forking process began.
                    **{k: v for k, v in os.environ.items() if k.startswith(("OLMES_", "XDG_"))},
                    **(env or {}),
                    **(group if processes > 1 else {}),
                    **(own[rank] if own else {}),
                },
            )
        with self.changed:
            while len(self.started) < before + processes:
                assert self.changed.wait(60), "the forking process does not answer"
        return Running(self, self.started[before : before + processes], outputs)

    def order(self, **order: object) -> None:
        """One line to the forking process."""
        assert self.process.stdin is not None
        self.process.stdin.write((json.dumps(order) + "\n").encode())
        self.process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
