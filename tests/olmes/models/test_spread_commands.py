"""`olmes run --workers` and `--ray` as commands: on a cluster, stopped, killed, and gone on with."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from olmes import Record
from tests.factories import lasting

pytest.importorskip("ray", reason="needs Ray; pip install 'olmes[ray]'")
pytestmark = pytest.mark.slow

ITEMS = 28
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


@dataclass
class Command:
    """`olmes run` of a tiny model, one response after the other."""

    words: list[str]
    environment: dict[str, str]
    out: Path

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.words, *more], env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *more: str) -> Record:
        process = self.start(*more)
        told, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        json.loads(told)  # nothing else is on standard output
        [folder] = self.out.iterdir()
        return Record.load(folder)

    def lines(self) -> list[bytes]:
        """The journal's."""
        for journal in self.out.glob("*/journal.jsonl"):
            return journal.read_bytes().splitlines()
        return []


@pytest.fixture
def command(build: Callable[..., Path], tmp_path: Path) -> Callable[[str, Path], Command]:
    def make(name: str, model: Path) -> Command:
        out = tmp_path / name
        words = [
            sys.executable, "-m", "olmes", "run", "--task", "gsm8k", "--set", "gsm8k.shots=1",
            "--set", "gsm8k.max_tokens=150", "--model", str(model), "--batch-size", "1",
            "--no-cache", "--scoring-processes", "1", "--out", str(out), "--json",
        ]  # fmt: skip
        own = {"OLMES_OFFLINE": "1", "OLMES_CACHE": str(tmp_path / "cache")}
        return Command(words, {**os.environ, **own}, out)

    return make


@pytest.fixture
def tiny(build: Callable[..., Path], tmp_path: Path) -> Path:
    return build(tmp_path / "tiny", config={"max_position_embeddings": 2048})


@dataclass
class Cluster:
    """Two machines of one processor each, as far as Ray can tell."""

    address: str
    access: dict[str, str]
    second: psutil.Process


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster on loopback, started as an administrator would."""
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    started: list[psutil.Process] = []

    def start(*words: str) -> str:
        log = tmp_path / f"log{len(started)}"
        with log.open("wb") as stream:
            node = subprocess.Popen(
                [
                    *RAY, "start", *words, "--block", "--num-cpus=1", "--disable-usage-stats",
                    "--object-store-memory=100000000",
                ],
                stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
                env=os.environ | access,
            )  # fmt: skip
        started.append(psutil.Process(node.pid))
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in (said := log.read_text("utf-8", "replace")):
            assert node.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        return said

    try:
        said = start("--head", "--port=0", "--include-dashboard=false")
        found = re.search(r"--address='(\S+)'", said)
        assert found
        start(f"--address={found[1]}")
        yield Cluster(found[1], access, started[1])
    finally:
        below = [one for node in started if node.is_running() for one in everything(node)]
        for node in reversed(started):
            with contextlib.suppress(psutil.NoSuchProcess):
                node.terminate()
        assert not psutil.wait_procs(below, timeout=120)[1]


def everything(process: psutil.Process) -> list[psutil.Process]:
    return [*process.children(recursive=True), process]


def same(left: Record, right: Record) -> bool:
    samples = "samples/gsm8k.jsonl"
    assert (left.folder / samples).read_bytes() == (right.folder / samples).read_bytes()
    assert left.folder.name == right.folder.name
    assert lasting(left) == lasting(right)
    return True


def engines_below(process: psutil.Process) -> int:
    return sum("ray::Engine" in " ".join(one.cmdline()) for one in process.children(recursive=True))


def test_a_run_on_a_cluster_outlives_one_of_its_machines(
    command: Callable[[str, Path], Command], tiny: Path, cluster: Cluster
) -> None:
    on_ray, alone = command("ray", tiny), command("alone", tiny)
    refused = on_ray.start("--ray", cluster.address)
    assert "RAY_AUTH_MODE=token" in refused.communicate(timeout=200)[1]
    assert refused.returncode == 2
    on_ray.environment.update(cluster.access)
    running = on_ray.start("--ray", cluster.address)
    while len(on_ray.lines()) < 3:
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.01)
    assert engines_below(cluster.second) == 1
    for process in everything(cluster.second):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    said = running.communicate(timeout=300)[1]
    assert running.returncode == 0, said
    [folder] = on_ray.out.iterdir()
    assert same(Record.load(folder), alone.run())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_nothing_running_and_one_process_goes_on(
    command: Callable[[str, Path], Command], tiny: Path, tmp_path: Path, how: signal.Signals
) -> None:
    stopped, alone = command("stopped", tiny), command("alone", tiny)
    process = stopped.start("--workers", "2")
    while len(stopped.lines()) < 3:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    driver = psutil.Process(process.pid)
    below = driver.children(recursive=True)
    assert engines_below(driver) == 2
    # Ctrl-C reaches every process of the terminal's group.
    (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
    told, said = process.communicate(timeout=60)
    assert told == ""
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert said.strip().endswith("the same command resumes the run.")
    # Two of Ray's agents first try for a while to tell of the death they noticed.
    assert not psutil.wait_procs(below, timeout=120)[1], "something is left running"
    kept = [json.loads(line)["item"] for line in stopped.lines()]
    assert 3 <= len(kept) < ITEMS
    assert len(set(kept)) == len(kept)
    finished = stopped.run()
    assert same(finished, alone.run("--workers", "2"))


def test_a_model_that_cannot_be_loaded_is_told_in_one_line(
    command: Callable[[str, Path], Command], tiny: Path
) -> None:
    weights = tiny / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    process = command("bad", tiny).start("--workers", "2")
    told, said = process.communicate(timeout=200)
    last = said.strip().splitlines()[-1]
    assert process.returncode == 2, said
    assert told == ""
    assert last.startswith("olmes: ")
    assert "safetensors" in last or str(tiny) in last
