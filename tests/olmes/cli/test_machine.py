"""What the machine refuses is one sentence that names the option: real processes, real refusals."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from olmes.cli.tables import PlainConsole, blank_table
from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.tools.places import trouble_of, writing
from tests.olmes.tools.refusing_library import build_shim

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
DROP_BOUNDING = 24
OVERRIDES = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root writes wherever it likes."""


def without_overrides() -> None:
    """In a child: rights are what the folders say, for root too."""
    for capability in OVERRIDES:
        ctypes.CDLL(None).prctl(DROP_BOUNDING, capability, 0, 0, 0)


def olmes(
    *words: str | Path,
    cwd: Path,
    before: Callable[[], None] = without_overrides,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "olmes", *map(str, words)], capture_output=True, text=True,
        check=False, cwd=cwd, timeout=300, preexec_fn=before,
        env={**os.environ, "OLMES_OFFLINE": "1", **(env or {})},
    )  # fmt: skip


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.jsonl"
    rows = [{"doc_id": number, "response": "The answer is 12. " * 300} for number in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def asked(recording: Path, *more: str | Path) -> list[str | Path]:
    return ["run", "--task", "gsm8k", "--model", f"replay:{recording}", *more]


def test_places_that_cannot_be_written_name_their_option(recording: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    cases: list[tuple[list[str | Path], dict[str, str], str]] = [
        (asked(recording), {}, "--out"),
        (asked(recording, "--out", closed / "deep/er"), {}, "--out"),
        (asked(recording, "--out", recording / "x"), {}, "--out"),
        (
            ["score", "--task", "gsm8k", recording, "--verdicts", closed / "v.jsonl"],
            {}, "--verdicts",
        ),
        (["run", "--task", "gsm8k", "--limit", "1", "--out", tmp_path / "runs"],
         {"OLMES_CACHE": str(closed / "cache")}, "$OLMES_CACHE"),
        (["token", "create", "me", "--store", closed / "store"], {}, "--store"),
        (["train", "sft", "small-sft", "--out", closed / "t"], {}, "--out"),
        (["watch", tmp_path, "--once", "--task", "gsm8k", "--out", closed / "w"], {}, "--out"),
    ]  # fmt: skip
    for words, env, option in cases:
        ended = olmes(*words, cwd=closed, env=env)
        last = ended.stderr.strip().splitlines()[-1]
        assert ended.returncode == 2, ended.stderr
        assert option in last, last
        assert "cannot be used" in last
        assert "internal error" not in ended.stderr


def test_a_disk_that_fills_keeps_what_is_finished(recording: Path, tmp_path: Path) -> None:
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))

    words = asked(recording, "--out", tmp_path / "runs", "--no-cache")
    ended = olmes(*words, cwd=tmp_path, before=small)
    assert ended.returncode == 2, ended.stderr
    assert "what is finished is kept, and the same command resumes" in ended.stderr
    assert "internal error" not in ended.stderr
    [journal] = tmp_path.glob("runs/*/journal.jsonl")
    assert journal.read_bytes().count(b"\n") == 1  # the second line is torn
    ended = olmes(*words, cwd=tmp_path)
    assert "internal error" not in ended.stderr
    [record] = tmp_path.glob("runs/*/run.json")
    task = json.loads(record.read_bytes())["tasks"]["gsm8k"]
    assert task["n"] - task["counts"]["failed"] == 4


def test_a_queue_without_locks_has_every_job_of_processes_that_write_at_once(
    tmp_path: Path,
) -> None:
    """Lustre without `-o flock` has neither flock nor record locks."""
    shim = build_shim(tmp_path)
    refused = {"LD_PRELOAD": str(shim), "FLOCK_ERRNO": "38", "FCNTL_ERRNO": "38"}
    code = (
        "import sys; from pathlib import Path; from olmes.trainers.checkpoints.queue import Queue\n"
        "from olmes.trainers.checkpoints.request import EvalRequest\n"
        "queue = Queue(Path(sys.argv[1])); request = EvalRequest(target=('gsm8k',), out='runs')\n"
        "for step in range(3):\n"
        "    queue.refuse(label=f'{sys.argv[2]}-{step}', step=step, source=Path(), request=request,"
        " reason='none')\n"
        "print(len(queue.jobs()))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "q"), name], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **refused},
        )
        for name in "ab"
    ]  # fmt: skip
    counts = []
    for one in both:
        said, wrong = one.communicate(timeout=120)
        assert one.returncode == 0, wrong
        counts.append(int(said))
    assert max(counts) == 6


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "ascii:strict"])
def test_output_that_cannot_encode_degrades(encoding: str, tmp_path: Path) -> None:
    for words in (["list"], ["list", "--json"], ["show", "gsm8k", "--docs", "0"]):
        ended = subprocess.run(
            [sys.executable, "-m", "olmes", *words], capture_output=True, check=False,
            cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": encoding, "OLMES_OFFLINE": "1"},
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        text = ended.stdout.decode(encoding.partition(":")[0])
        if "--json" in words:
            assert json.loads(text)["tasks"]
        elif encoding.startswith("ascii") and words == ["list"]:
            assert "agieval" in text


def test_json_that_is_escaped_is_the_same_json(tmp_path: Path) -> None:
    code = (
        "import json; from olmes.tools.plain_streams import degrade; degrade(data=True)\n"
        r"print(json.dumps('“é” – \U0001F600', ensure_ascii=False))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert json.loads(ended.stdout.decode("ascii")) == "“é” – \U0001f600"


@pytest.mark.parametrize("width", [100, 60, 50, 40])
def test_a_narrow_terminal_keeps_task_metric_and_every_number(width: int) -> None:
    import io

    stream = io.StringIO()
    screen = PlainConsole(file=stream, width=width, markup=False, highlight=False)
    table = blank_table("task", "metric", "value", "95 % interval", "n", "trunc.", "unparsed")
    table.add_row("ifeval", "inst_level_loose", "78.52", "[75.1, 81.9]", "541", "17", "23")
    screen.print(table)
    shown = stream.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    for text in ("ifeval", "inst_level_loose", "78.52", "[75.1, 81.9]", "541", "17", "23"):
        assert text in shown
    parts = shown.count("ifeval")
    assert (parts == 1) == (width == 100)


def test_lines_behind_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('\ufeff{"a": "ü"}\r\n{"a": 2}\r\n'.encode())
    assert list(jsonl.read(path)) == list(jsonl.scan(path)) == [{"a": "ü"}, {"a": 2}]
    assert jsonl.read_text(path).startswith("{")


def test_a_recording_behind_a_byte_order_mark_is_scored(recording: Path, tmp_path: Path) -> None:
    recording.write_bytes(b"\xef\xbb\xbf" + recording.read_bytes())
    assert olmes("score", "--task", "gsm8k", recording, cwd=tmp_path).returncode == 0
    run = olmes(*asked(recording, "--out", tmp_path / "runs", "--limit", "4"), cwd=tmp_path)
    assert (tmp_path / "runs").is_dir(), run.stderr
    [record] = (tmp_path / "runs").glob("*/run.json")
    assert json.loads(record.read_bytes())["tasks"]["gsm8k"]["counts"]["failed"] == 0


def test_only_the_machine_is_blamed_for_what_it_refuses(tmp_path: Path) -> None:
    own = Path(shutil.__file__)
    assert trouble_of(ConnectionResetError(errno.ECONNRESET, "reset"), {}) is None
    assert trouble_of(OSError("no number"), {}) is None
    package = Path(sys.modules["olmes.tools.places"].__file__ or own).parent / "gone.txt"
    assert trouble_of(FileNotFoundError(errno.ENOENT, "gone", str(package)), {}) is None
    many = trouble_of(OSError(errno.EMFILE, "too many"), {})
    assert many is not None
    assert "ulimit -n" in many
    with pytest.raises(KeyError), writing(tmp_path, "x"):
        raise KeyError
    elsewhere = PermissionError(errno.EACCES, "no", str(tmp_path.parent / "else"))
    with pytest.raises(PermissionError), writing(tmp_path, "x"):
        raise elsewhere
    full = RuntimeError(
        "I/O error: No space left on device (os error 28)"
    )  # as safetensors says it
    with pytest.raises(OlmesError, match="no space is left"), writing(tmp_path, "x"):
        raise full
