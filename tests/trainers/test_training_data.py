"""Data on disk: read in pieces by several processes, made once, found again, whoever is killed."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.rows import sources
from olmes.rows.sources import Lines
from olmes.tools import jsonl
from olmes.tools.cache_folder import cache_folder
from olmes.tools.locks import Lock, held
from olmes.trainers.data.kept import PLACE, kept
from olmes.trainers.data.mixture import draw, load_mixture
from olmes.trainers.data.pieces import Making, Task
from olmes.trainers.recipes.files import make_recipe
from olmes.trainers.recipes.stages import Stage


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of each test's own."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))


def said(text: str) -> dict[str, Any]:
    """A chat in which something is said."""
    return {
        "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]
    }


def mix(
    folder: Path, data: dict[str, Any], stage: Stage = "sft", say: Any = None, **more: Any
) -> Any:
    recipe = make_recipe(stage, {"data": data, **more}, str(folder / "recipe.toml"))
    return load_mixture(recipe, say=say or (lambda _: None))


def asked(mixture: Any) -> list[str]:
    return [row["messages"][0]["content"] for row in mixture.rows]


ALL = {"fraction": 1.0}
LINES = b'\n{"a": "x"}\n\n{"a": "\xc3\xa9\xe2\x80\xa8"}\r\n{"a": 1}\n   \n{"a": [2, 3]}'
"""Blank lines, ends of lines of two kinds, a line separator within a text, no end at the end."""


@pytest.mark.parametrize("size", range(1, len(LINES) + 2))
def test_pieces_of_a_file_are_all_its_lines_once(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(LINES)
    monkeypatch.setattr(sources, "PIECE_BYTES", size)
    source = Lines(file)
    found = [
        (source.number(piece, n), row)
        for piece in source.pieces()
        for n, row, _ in source.read(piece)
    ]
    assert found == list(jsonl.read_numbered(file))


def test_several_processes_read_what_one_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jsonl.write(tmp_path / "a.jsonl", (said(f"ä{i}") for i in range(300)))
    whole = mix(tmp_path, {"a.jsonl": ALL})
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(sources, "PIECE_BYTES", 4000)
    apart = mix(tmp_path, {"a.jsonl": ALL}, hardware={"data_processes": 3})
    assert len(list(tmp_path.glob("other/training-data/rows/*/*.arrow"))) > 5
    assert asked(apart) == asked(whole)
    assert apart.hash == whole.hash


def test_gzip_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [said(f"q{i}") for i in range(50)]
    jsonl.write(tmp_path / "a.jsonl", rows)
    with gzip.open(tmp_path / "b.jsonl.gz", "wb") as stream:
        stream.write((tmp_path / "a.jsonl").read_bytes())
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "c.parquet", row_group_size=7)
    plain = asked(mix(tmp_path, {"a.jsonl": ALL}))
    assert asked(mix(tmp_path, {"b.jsonl.gz": ALL})) == plain
    assert asked(mix(tmp_path, {"c.parquet": ALL})) == plain
    parquet.write_table(pa.table({"messages": [1, 2]}), tmp_path / "bad.parquet")
    with pytest.raises(OlmesError, match=r"bad\.parquet, row 1: 'messages' must be"):
        mix(tmp_path, {"bad.parquet": ALL})
    (tmp_path / "no.parquet").write_text("no parquet")
    with pytest.raises(OlmesError, match=r"no\.parquet cannot be read"):
        mix(tmp_path, {"no.parquet": ALL})


def test_a_data_set_of_the_hub_is_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder stands in for the hub, which tests do not reach; the library reads either."""
    import datasets

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    (tmp_path / "owner/name").mkdir(parents=True)
    rows = [{**said(f"q{i}"), "id": i} for i in range(95)]
    jsonl.write(tmp_path / "owner/name/train.jsonl", rows)
    jsonl.write(tmp_path / "a.jsonl", rows)
    monkeypatch.setattr(sources, "PIECE_ROWS", 10)
    found = mix(tmp_path, {"owner/name": ALL}, hardware={"data_processes": 2})
    assert asked(found) == asked(mix(tmp_path, {"a.jsonl": ALL}))
    assert found.parts[0].content
    rows[61]["messages"] = [{"role": "user", "content": "nobody answers"}]
    jsonl.write(tmp_path / "owner/name/train.jsonl", rows)
    with pytest.raises(OlmesError, match="owner/name, row 62: no turn"):
        mix(tmp_path, {"owner/name": ALL})
    with pytest.raises(OlmesError, match="'owner/other' cannot be fetched"):
        mix(tmp_path, {"owner/other": ALL})


@pytest.mark.parametrize("line", [0, 120, 199])
def test_a_bad_row_in_any_piece_is_named_by_its_line(
    line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Any] = [said(f"q{i}") for i in range(200)]
    rows[line] = {"messages": []}
    jsonl.write(tmp_path / "a.jsonl", rows)
    monkeypatch.setattr(sources, "PIECE_BYTES", 2000)
    with pytest.raises(OlmesError, match=rf"a\.jsonl, row {line + 1}: 'messages' must be"):
        mix(tmp_path, {"a.jsonl": ALL}, hardware={"data_processes": 2})
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows[:-1]) + "{")
    if line < 199:
        return
    with pytest.raises(OlmesError, match=r"a\.jsonl, line 200: not JSON"):
        mix(tmp_path, {"a.jsonl": ALL}, hardware={"data_processes": 2})
    rows[line] = said("fixed")
    jsonl.write(tmp_path / "a.jsonl", rows)
    assert len(mix(tmp_path, {"a.jsonl": ALL}).rows) == 200


def test_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(said("\ud83d")) + "\n")
    with pytest.raises(OlmesError, match="half of a surrogate pair"):
        mix(tmp_path, {"a.jsonl": ALL})


def test_data_are_found_again_by_content_wherever_they_lie(tmp_path: Path) -> None:
    jsonl.write(tmp_path / "a.jsonl", (said(f"q{i}") for i in range(40)))
    first = mix(tmp_path, {"a.jsonl": {"fraction": 0.5}})
    made = sorted(cache_folder(PLACE).rglob("*"))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "a.jsonl").rename(moved / "b.jsonl")
    again = mix(moved, {"b.jsonl": {"fraction": 0.5}})
    assert sorted(cache_folder(PLACE).rglob("*")) == made
    assert asked(again) == asked(first)
    assert again.hash == first.hash
    assert again.parts[0].content == first.parts[0].content
    jsonl.write(moved / "b.jsonl", (said(f"q{i}") for i in range(41)))
    changed = mix(moved, {"b.jsonl": {"count": 20}})
    assert changed.hash != first.hash
    assert changed.parts[0].content != first.parts[0].content
    # What was made and then lost, or cut short, is made again.
    for file in cache_folder(PLACE).rglob("*.arrow"):
        file.unlink()
    assert asked(mix(moved, {"b.jsonl": {"count": 20}})) == asked(changed)
    for file in cache_folder(PLACE).rglob("*.arrow"):
        file.write_bytes(file.read_bytes()[:-100])
    assert asked(mix(moved, {"b.jsonl": {"count": 20}})) == asked(changed)


def test_the_order_is_that_of_lists_drawn_and_shuffled(tmp_path: Path) -> None:
    """As the first version drew them: a recipe's rows and their order must not change."""
    jsonl.write(tmp_path / "a.jsonl", (said(f"a{i}") for i in range(30)))
    jsonl.write(tmp_path / "b.jsonl", (said(f"b{i}") for i in range(7)))
    data = {"a.jsonl": {"fraction": 0.4, "seed": 5}, "b.jsonl": {"count": 17}}
    drawn: list[str] = []
    for name, count, wanted, seed in (("a", 30, 12, 5), ("b", 7, 17, 0)):
        whole, rest = divmod(wanted, count)
        extra = Random(seed).sample(range(count), rest)
        drawn += [f"{name}{i}" for i in sorted([*(list(range(count)) * whole), *extra])]
    order = list(range(len(drawn)))
    Random(9).shuffle(order)
    assert asked(mix(tmp_path, data, seed=9)) == [drawn[i] for i in order]
    assert isinstance(draw(10, 4, seed=0), array)


def test_a_prompt_of_a_task_is_made_again_when_the_task_has_changed(
    tmp_path: Path, addition_file: Path
) -> None:
    task = tmp_path / "own_task.py"
    task.write_text(addition_file.read_text("utf-8"), "utf-8")
    row = {"verifiers": [{"task": "own_task.py", "doc": {"question": "1+1", "answer": "2"}}]}
    jsonl.write(tmp_path / "a.jsonl", [row])
    # Elsewhere, because a process loads a file of tasks once.
    before = multiprocessing.get_context("fork").Process(
        target=mix, args=(tmp_path, {"a.jsonl": ALL}, "rlvr")
    )
    before.start()
    before.join()
    assert len(list(cache_folder(PLACE, "rows").glob("*/*.arrow"))) == 1
    text = task.read_text("utf-8")
    assert text.count('"content": doc["question"]') == 1, "the test's own task has another prompt"
    task.write_text(text.replace('"content": doc', '"content": "Add: " + doc'), "utf-8")
    [prompt] = mix(tmp_path, {"a.jsonl": ALL}, "rlvr").rows["prompt"]
    assert prompt[-1]["content"] == "Add: 1+1"


def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jsonl.write(tmp_path / "a.jsonl", [said("q")])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "file"))
    with pytest.raises(OlmesError, match=r"name another folder with \$OLMES_CACHE"):
        mix(tmp_path, {"a.jsonl": ALL})


@dataclass(frozen=True)
class Numbers:
    """Work that writes its piece's number, and notes in a folder who has done it."""

    notes: Path
    dies_once: int | None = None
    seconds: float = 0.0

    def __call__(self, piece: int, writer: Any, alive: Any) -> dict[str, Counter[str]]:
        if self.dies_once == piece and not (self.notes / "died").exists():
            (self.notes / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            alive()
            time.sleep(0.05)
        (self.notes / f"{piece}-{os.getpid()}").touch()
        writer.write_batch({"number": [piece]})
        return {"seen": Counter({"pieces": 1})}


def numbers(work: Numbers, count: int = 4, **making: Any) -> Any:
    from datasets import Features, Value

    def task() -> Task:
        features = Features(number=Value("int64"))
        return Task(what="counting", features=features, pieces=range(count), work=work)

    given = {"say": lambda _: None, "processes": 2, **making}
    return kept("numbers", ["numbers", count], task, Making(**given))


def test_a_process_that_is_killed_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    work = Numbers(tmp_path, dies_once=2)
    with pytest.raises(OlmesError, match=r"was stopped \(SIGKILL\).*data_processes lower"):
        numbers(work)
    found = numbers(work)
    assert found.rows["number"][:] == [0, 1, 2, 3]
    assert found.notes == {"seen": Counter({"pieces": 4})}
    done = Counter(path.name.partition("-")[0] for path in tmp_path.glob("*-*"))
    # Two processes: beside piece 2 one other was under way, and may have been stopped as well.
    assert done["2"] == 1
    assert done.total() <= 5


def test_of_processes_that_share_a_cache_one_makes_the_data(tmp_path: Path) -> None:
    work = Numbers(tmp_path, seconds=0.2)
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=numbers, args=(work,)) for _ in range(3)]
    for process in others:
        process.start()
    for process in others:
        process.join(60)
        assert process.exitcode == 0
    assert numbers(work).rows["number"][:] == [0, 1, 2, 3]
    assert len(list(tmp_path.glob("*-*"))) == 4


def test_who_waits_for_nobody_gives_up(tmp_path: Path) -> None:
    numbers(Numbers(tmp_path))
    [place] = cache_folder(PLACE, "numbers").glob("*[!k]")
    (place / "about.json").unlink()
    lock = Lock.take(place.with_name(f"{place.name}.lock"))
    assert lock is not None
    try:
        with pytest.raises(OlmesError, match="no sign of life"):
            numbers(Numbers(tmp_path), wait_minutes=0.005)
    finally:
        lock.release()
    assert len(numbers(Numbers(tmp_path)).rows) == 4


def test_a_forked_process_does_not_hold_its_parents_locks(tmp_path: Path) -> None:
    file = tmp_path / "a.lock"
    lock = Lock.take(file)
    assert lock is not None
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    try:
        assert held(file)
        lock.stream.close()  # as when the parent dies
        wait_for(lambda: not held(file))
    finally:
        child.kill()
        child.join()


KILLED = """
import sys
from pathlib import Path
from tests.trainers.test_training_data import Numbers, numbers
numbers(Numbers(Path(sys.argv[1]), seconds=float(sys.argv[2])), count=3)
"""


def test_after_a_killed_training_nothing_is_left_that_works_or_holds(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    first = subprocess.Popen([*command, "100"], env=env, start_new_session=True)
    place = cache_folder(PLACE, "numbers")
    wait_for(lambda: len(list(place.glob("*.making/*.tmp"))) == 2)
    first.kill()
    first.wait()
    wait_for(lambda: not processes_of(first.pid))
    again = numbers(Numbers(tmp_path), count=3)
    assert again.rows["number"][:] == [0, 1, 2]


def wait_for(there: Any, seconds: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def processes_of(session: int) -> list[int]:
    """Processes of a session that are running."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(after[3]) == session and after[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
def test_more_text_than_arrows_32_bits_count(tmp_path: Path) -> None:
    """2,200 rows of 1 MB: whole columns of them cannot be put together."""
    text = "lorem ipsum " * 87_000
    jsonl.write(tmp_path / "a.jsonl", (said(f"{i} {text}") for i in range(2200)))
    mixture = mix(tmp_path, {"a.jsonl": ALL})
    assert len(mixture.rows) == 2200
    assert mixture.rows.data.nbytes > 2**31
    numbers = {int(row["messages"][0]["content"].partition(" ")[0]) for row in mixture.rows}
    assert len(numbers) == 2200
