"""A run keeps its rows and responses on disk: the record is what it was, and memory is flat."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes.records.record import Record
from olmes.requests.journal import FILE_NAME as JOURNAL
from olmes.requests.request_hash import RequestHasher
from olmes.runs.cost import FILE_NAME as COST
from olmes.tools.hashing import Members, content_hash, streamed_hash
from olmes.types import Generation, Request

if TYPE_CHECKING:
    from olmes.types import Response
    from tests.olmes.conftest import EchoBench

from tests.known import known
from tests.olmes.runs.mixed_run import FILES, RuleModel, left, mixed_run

GOLDEN = {path.name: path.read_text("utf-8") for path in (FILES / "mixed_run").iterdir()}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)


def same(found: dict[str, str]) -> None:
    for name, text in GOLDEN.items():
        # Line by line, so that a difference is shown where it is.
        for number, (line, golden) in enumerate(
            zip(found[name].split("\n"), text.split("\n"), strict=True)
        ):
            assert line == golden, f"{name}, line {number}"
    assert found.keys() == GOLDEN.keys()


def test_a_run_with_everything_in_it_leaves_the_record_it_always_left(tmp_path: Path) -> None:
    record = mixed_run(tmp_path)
    same(left(record))
    names = {path.name for path in record.folder.rglob("*") if path.is_file()}
    # The run is not complete, so its journal and cost stay; nothing else does.
    assert names == {"run.json", JOURNAL, COST, "echo.jsonl", "pick.jsonl", "taste.jsonl"}


def test_so_does_one_under_seal(tmp_path: Path) -> None:
    record = mixed_run(tmp_path, held_out=True)
    same(left(record))
    for sealed in known(record.run.held_out).sealed.values():
        raw = (record.folder / sealed.file).read_bytes()
        text = zlib.decompress(raw, wbits=31)
        assert raw == zlib.compress(text, 9, wbits=31)
        assert sealed.rows == text.count(b"\n")


class StoppedError(Exception):
    """Ends a run in its middle."""


class Stopping(RuleModel):
    """The rule's model, until it has answered so many requests."""

    def __init__(self, left: int) -> None:
        self.left = left

    def answer(self, request: Request) -> Response:
        self.left -= 1
        if self.left < 0:
            raise StoppedError
        return super().answer(request)


@pytest.mark.parametrize("held_out", [False, True])
def test_a_run_that_is_stopped_again_and_again_leaves_it_too(
    tmp_path: Path, held_out: bool
) -> None:
    options = {"held_out": held_out, "use_cache": False}
    for answers in (5, 20, 40):
        with pytest.raises(StoppedError):
            mixed_run(tmp_path, model=Stopping(answers), **options)
        [folder] = (path.parent for path in (tmp_path / "runs").glob(f"*/{JOURNAL}"))
        assert {path.name for path in folder.iterdir()} == {JOURNAL, COST}
    model = Stopping(1000)
    same(left(mixed_run(tmp_path, model=model, **options)))
    assert model.left > 1000 - 90 + 5 + 20, "what was answered before is not asked again"


def test_hashes_made_in_pieces_are_those_of_the_whole() -> None:
    rows = [["a/ü#0:\ud800", "1"], ["b", None], [1.5, True]]
    value = {"b": {"rows": rows, "a": "x"}, "a": [rows], "c": []}
    pieces = {"b": {"rows": Members(iter(rows)), "a": "x"}, "a": [rows], "c": Members(())}
    assert streamed_hash(pieces) == content_hash(value)
    hasher = RequestHasher()
    one = Request(
        generation=Generation(max_tokens=3, n=12), messages=({"role": "user", "content": "ü"},)
    )
    other = Request(generation=Generation(max_tokens=3, n=12), prompt="x", continuations=("a", "b"))
    for request in [one, *map(one.repeated, range(12)), other, other.repeated(11), one.repeated(3)]:
        assert hasher.digest(request) == content_hash(request.to_json())


MEASURED = """
import json, resource, sys
from pathlib import Path
from olmes import evaluate

task, folder, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
recording = folder / f"recording{repeats}.jsonl"
with recording.open("w") as stream:
    for repeat in range(repeats):
        for at in range(100):
            row = {"doc_id": at, "repeat": repeat, "response": f"word{at} " + "said " * 60}
            stream.write(json.dumps(row) + "\\n")

def peak():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000

record = evaluate(
    task, model=f"replay:{recording}", data=folder, out=folder / "runs",
    settings={"echo.n": repeats}, scoring_processes=1,
)
assert record.tasks["echo"].n == 100 * repeats
from olmes.reports.run_page import write_run_page
write_run_page(record.folder, folder / f"page{repeats}.html")
print(peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell the peak")
def test_memory_does_not_grow_with_the_number_of_samples(echo: EchoBench, tmp_path: Path) -> None:
    (echo.data / "echo/test.jsonl").write_text(
        "".join(json.dumps({"word": f"word{at}"}) + "\n" for at in range(100)), "utf-8"
    )

    def peak(repeats: int) -> float:
        command = [sys.executable, "-c", MEASURED, str(echo.task), str(echo.data), str(repeats)]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    small, large = peak(50), peak(500)
    # 45,000 samples more, of about 700 bytes each in the samples file alone.
    assert large - small < 25, f"{small:.0f} MB with 5,000 samples, {large:.0f} MB with 50,000"


def test_scoring_processes_that_outlive_a_run_serve_the_next(
    echo: EchoBench, tmp_path: Path
) -> None:
    from olmes.benchmark.registry import load_task
    from olmes.models.spec import load_model
    from olmes.runs.options import RunOptions
    from olmes.runs.planning import plan_run
    from olmes.runs.run import run
    from olmes.scoring.process.shared_pool import SharedPool

    task = load_task(str(echo.task))
    records: list[Record] = []
    scorers = SharedPool()
    pools = []
    try:
        for out in ("one", "two"):
            model = load_model(f"replay:{echo.recording}")
            plan = plan_run([task], model, data=echo.data)
            records.append(run(plan, model, RunOptions(out=tmp_path / out), scorers=scorers))
            pools.append(scorers.pool)
    finally:
        scorers.close()
    assert pools[0] is pools[1] is not None
    first, second = (record.samples_path("echo").read_bytes() for record in records)
    assert first == second
