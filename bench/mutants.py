"""How many small faults in the statistics, scoring and seal rooms their tests notice.

`python -m bench.mutants` lets mutmut change a sample of places one at a time, drawn with a fixed seed,
in a copy of the repository, and runs the tests that reach each. `--show` prints what survived.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[1]
FOLDERS = ("olmes", "tasks", "suites", "reports", "trainers", "tests")
# As mutmut's own table (mutmut.stats) has them; everything else is a test that failed.
STATUS = {
    0: "survived",
    5: "no tests",
    33: "no tests",
    24: "timeout",
    36: "timeout",
    152: "timeout",
}
STATUS |= {255: "timeout", -24: "timeout"}


@dataclass(frozen=True)
class Room:
    """What is changed, and the tests that should notice."""

    folder: str
    tests: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    but: str = ""
    """Tests that cannot run changed code: mutmut's calls are deeper and slower than ours."""


ROOMS = {
    "stats": Room("olmes/stats", ("tests/olmes/stats",)),
    "scoring": Room(
        "olmes/scoring",
        ("tests/olmes/scoring", "tests/tasks"),
        # Tables of data, and texts made for tests: a change there is a matter of taste.
        ("*/tables.py", "*/lists.py", "*/countries.py", "*/vocabulary.py", "*/compose.py",
         "*/__init__.py"),
        "hostile or linear or at_once or second",
    ),
    "seal": Room("olmes/seal", ("tests/olmes/seal",)),
}  # fmt: skip


def copy(room: Room, place: Path) -> None:
    """The repository without what git ignores, with a configuration of mutmut."""
    for name in FOLDERS:
        shutil.copytree(
            HERE / name, place / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    settings = {
        "source_paths": [f"{room.folder}/"],
        "do_not_mutate": list(room.left_out),
        "also_copy": list(FOLDERS),
        "pytest_add_cli_args": ["-m", "not slow", "-p", "no:cacheprovider"]
        + (["-k", f"not ({room.but})"] if room.but else []),
        "pytest_add_cli_args_test_selection": list(room.tests),
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    text = (HERE / "pyproject.toml").read_text("utf-8")
    (place / "pyproject.toml").write_text("\n".join([text, "[tool.mutmut]", *lines, ""]), "utf-8")


def mutmut(place: Path, *arguments: str) -> str:
    """Run mutmut in the copy; processes that tests start see the copy too."""
    environment = os.environ | {"PYTHONPATH": str(place / "mutants"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def codes(place: Path, room: Room) -> dict[str, int | None]:
    """Every mutant's name and the exit status of its tests."""
    found: dict[str, int | None] = {}
    for path in sorted((place / "mutants" / room.folder).rglob("*.meta")):
        found |= json.loads(path.read_text("utf-8"))["exit_code_by_key"]
    return found


def tried(room: Room, number: int, seed: int, show: bool) -> Counter[str]:
    """What became of a sample of a room's mutants."""
    with tempfile.TemporaryDirectory(prefix="olmes-mutants-") as folder:
        place = Path(folder)
        copy(room, place)
        said = mutmut(place, "run", "none of them")  # makes all of them, and tries none
        names = sorted(codes(place, room))
        if not names:
            sys.exit(said[-3000:])
        drawn = random.Random(seed).sample(names, min(number, len(names)))
        said = mutmut(place, "run", "--max-children", "2", *drawn)
        found = codes(place, room)
        ends = {name: "not tried" if found[name] is None else STATUS.get(found[name] or 0, "killed")
                for name in drawn}  # fmt: skip
        if show:
            for name in sorted(name for name in drawn if ends[name] != "killed"):
                print(f"\n-- {ends[name]}: {mutmut(place, 'show', name).strip()}")
            if "not tried" in ends.values():
                print(said[-3000:])
    return Counter(ends.values()) + Counter(made=len(names))


def main() -> None:
    """Print a line a room."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", nargs="*", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--number", type=int, default=60, help="mutants a room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    if importlib.util.find_spec("mutmut") is None:
        print("skipped: needs mutmut (pip install 'mutmut>=3.8,<4')")
        return
    for name in arguments.rooms:
        found = tried(ROOMS[name], arguments.number, arguments.seed, arguments.show)
        drawn = sum(found.values()) - found["made"]
        ends = ", ".join(f"{count} {end}" for end, count in found.most_common() if end != "made")
        print(f"{name}: {drawn} of {found['made']} mutants: {ends}", flush=True)


if __name__ == "__main__":
    main()
