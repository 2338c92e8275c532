"""Two engines on Ray over one, with the model's time held constant: what spreading itself costs.

`python -m bench.ray_workers`. The model sleeps for a fixed time a request, so that two engines have
no core to fight over and nothing but Ray, the journal, the scoring and our own handing out can make
two of them less than twice as fast. Everything else is a whole run: `evaluate`, a record on disk.
`answering` is from the first response to the last, `whole run` has the start of Ray in it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from olmes import Request, Response, evaluate
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.models.ray.model import RayModel
from olmes.requests.callbacks import RunCallback

TASK = Path(__file__).parent / "files/fixed_task.py"


class Sleeping(Model):
    """Answers each request with its question, `seconds` after the one before it."""

    name = "sleeping"
    cacheable = False
    fingerprint = "0" * 64

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @property
    def engine(self) -> dict[str, Any]:
        """Nothing runs."""
        return {"backend": "sleeping"}

    def encode(self, request: Request) -> EncodedPrompt:
        """The question."""
        return EncodedPrompt(text=request.messages[-1]["content"], token_ids=())

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Sleep, then answer; oversleeping is made up for, so that the model's time is constant."""
        start = time.perf_counter()
        for at, request in enumerate(requests):
            time.sleep(max(0.0, start + (at + 1) * self.seconds - time.perf_counter()))
            done(at, Response(text=request.messages[-1]["content"], completion_tokens=1))

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Not asked for."""
        raise NotImplementedError


class Stopwatch(RunCallback):
    """When the first response came, and the last."""

    def __init__(self) -> None:
        self.first = self.last = 0.0

    def answered(self, *_: Any) -> None:
        """A response."""
        self.last = time.perf_counter()
        self.first = self.first or self.last


def measured(
    folder: Path, workers: int, seconds: float, address: str | None
) -> tuple[float, float, float]:
    """Seconds of answering, of the whole run, and of this process's processor."""
    make = partial(Sleeping, seconds)
    model = RayModel(make(), make, workers=workers, address=address)
    watch = Stopwatch()
    start, used = time.perf_counter(), time.process_time()
    record = evaluate(
        str(TASK), model=model, data=folder, out=folder / f"runs{workers}", callback=watch,
        scoring_processes=1,
    )  # fmt: skip
    wall = time.perf_counter() - start
    assert record.complete
    assert record.value("fixed") == 1.0
    return watch.last - watch.first, wall, time.process_time() - used


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.02, help="the model's, a request")
    parser.add_argument("--ray", help="a cluster; by default each run starts a Ray of its own")
    arguments = parser.parse_args(None if len(sys.argv) > 1 else [])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["OLMES_CACHE"] = str(folder / "cache")
        rows = (json.dumps({"q": f"question {at}"}) + "\n" for at in range(arguments.requests))
        (folder / "fixed.jsonl").write_text("".join(rows), "utf-8")
        asleep = arguments.requests * arguments.seconds
        print(f"{arguments.requests} requests, {asleep:.0f} s of the model's time")
        print(
            f"{'engines':>8} {'answering':>10} {'model alone':>12} {'whole run':>10} {'cpu s':>6}"
        )
        found = {}
        for workers in (1, 2):
            found[workers] = measured(folder, workers, arguments.seconds, arguments.ray)
            answering, whole, processor = found[workers]
            print(
                f"{workers:8} {answering:10.2f} {asleep / workers:12.2f} {whole:10.2f} "
                f"{processor:6.2f}", flush=True,
            )  # fmt: skip
    print(f"answering, 1 engine over 2: {found[1][0] / found[2][0]:.3f}")
    print(f"whole run, 1 engine over 2: {found[1][1] / found[2][1]:.3f}")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
