"""What people type out of habit is understood, or answered with the line to type."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import requests
from click.shell_completion import ShellComplete

from olmes.cli import main, olmes
from olmes.cli.examples import EXAMPLES
from olmes.cli.habits import OPTIONS
from olmes.cli.serve import announcer


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words behind `olmes`."""
    context = click.Context(olmes)

    def below(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            if isinstance(found, click.Group):
                yield from below(found, (*words, name))
            else:
                yield " ".join((*words, name)), found

    yield from below(olmes, ())


def said(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What `olmes` prints last of a line that it refuses."""
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(line))
    assert ended.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_every_command_prints_json_when_asked() -> None:
    for path, command in commands():
        assert any("--json" in option.opts for option in command.params), path


def test_every_help_ends_with_examples_that_parse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "path/to/backup").mkdir(parents=True)  # which must be there
    monkeypatch.chdir(tmp_path)
    found = dict(commands())
    assert set(EXAMPLES) == set(found)
    for path, command in found.items():
        printed = command.get_help(click.Context(command, info_name=f"olmes {path}"))
        assert 1 <= len(EXAMPLES[path]) <= 4
        for line in EXAMPLES[path]:
            assert line in printed
            arguments = shlex.split(line)
            words = ["olmes", *path.split()]
            assert arguments[: len(words)] == words
            command.make_context(path, arguments[len(words) :])
    assert "olmes data list" in found["data list"].get_help(click.Context(found["data list"]))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rnu", "Did you mean 'olmes run'?"),
        ("evaluate --suite dev", "Did you mean 'olmes run'?"),
        ("data lst", "Did you mean 'olmes data list'?"),
        ("synth persona", "Did you mean 'olmes synth personas'?"),
        ("--tasks gsm8k", "olmes run --model MODEL --task a,b"),
        ("run --batch_size 4", "write --batch-size."),
        ("run --no_such_thing", "No such option '--no_such_thing'"),
        ("run gsm8k", "'gsm8k' is a task; write: olmes run --task gsm8k --model MODEL"),
        ("run smollm2 gsm8k,math", "olmes run --task gsm8k,math --model smollm2"),
        ("run dev", "'dev' is a suite; write: olmes run --suite dev --model MODEL"),
        ("run gsm8", "did you mean the task gsm8k? Write: olmes run --task gsm8k --model MODEL"),
        ("run gsm8k{}", "did you mean the task gsm8k?"),
        ("run smollm2", "give --suite or --task"),
        ("run --task gsm8", "did you mean gsm8k?"),
        ("run --task dev", "write --suite dev"),
        ("run --suite gsm8k", "write --task gsm8k"),
        ("run --suite tulu3-dev", "did you mean tulu3_dev"),
        ("run --task 'gms*'", "no task fits the pattern 'gms*'"),
        ("show 'mmlu*'", "olmes show takes one task, and 'mmlu*' names mmlu, mmlu_mc, mmlu_pro"),
        ("run --task gsm8k --limit 0", "--limit must be 1 or more items a task, or a share"),
        ("run --task gsm8k --limit=-1", "--limit must be 1 or more items a task, or a share"),
        ("run --task gsm8k --limit 1.5", "--limit must be 1 or more items a task, or a share"),
        ("run --task gsm8k --limit half", "--limit half: write a number of items"),
        ("run --task gsm8k --batch-size none", "write a whole number from 1, or auto"),
        ("run --task gsm8k --items 3 --limit 4", "give one of the two"),
        ("run --task gsm8k --items three", "--items three: write row numbers"),
        ("run --task ifbench --items 3 --reason x", "use --limit, which draws them"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_to_type(
    line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in said(line, capsys)


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_options_of_other_harnesses_are_answered_with_ours(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = f"olmes: there is no option --{option}; {OPTIONS[option]}."
    assert said(f"run --{option} x", capsys) == answer


def completed(words: list[str], begun: str) -> list[str]:
    complete = ShellComplete(olmes, {}, "olmes", "_OLMES_COMPLETE")
    return [one.value for one in complete.get_completions(words, begun)]


@pytest.mark.parametrize(
    ("words", "begun", "among"),
    [
        (["run", "--task"], "gs", "gsm8k"),
        (["run", "--task"], "gsm8k,mat", "gsm8k,math"),
        (["run", "--suite"], "d", "dev"),
        (["run", "--model"], "smo", "smollm2"),
        (["run"], "smo", "smollm2"),
        (["show"], "pop", "popqa"),
        (["list"], "pop", "popqa"),
        (["score", "--task"], "pop", "popqa"),
        (["watch", "x", "--suite"], "un", "unseen"),
        (["decontaminate", "x", "--against"], "dev,ma", "dev,math"),
        (["train", "sft"], "small-s", "small-sft"),
        (["synth", "personas"], "demo-pe", "demo-personas"),
    ],
)
def test_a_shell_completes_names(words: list[str], begun: str, among: str) -> None:
    assert among in completed(words, begun)


def test_completion_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom olmes.cli import olmes\ntry:\n    olmes(prog_name='olmes')\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'pandas', 'scipy', 'numpy'}"
        " & set(sys.modules)))"
    )
    asked = {
        "_OLMES_COMPLETE": "bash_complete",
        "COMP_WORDS": "olmes run --task gs",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | asked,
        check=True,
    )
    assert done.stdout.splitlines() == ["plain,gsm8k", "[]"]


def served(folder: Path) -> tuple[str, str]:
    """What `olmes serve` prints on standard output and, on a terminal, on standard error."""
    here, there = pty.openpty()
    words = ["serve", "--port", "0", "--store", str(folder / "store"), "--no-runs"]
    process = subprocess.Popen(
        [sys.executable, "-m", "olmes", *words], stdout=subprocess.PIPE, stderr=there, text=True
    )
    os.close(there)
    assert process.stdout is not None
    first = process.stdout.readline()
    url = first.strip()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            requests.get(f"{url}/healthz", timeout=5)
            break
        except requests.RequestException:
            time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.wait(60)
    heard = b""
    try:
        while piece := os.read(here, 1 << 16):
            heard += piece
    except OSError:  # the other end is closed: how a terminal ends
        pass
    os.close(here)
    return first + rest, heard.decode()


def test_a_server_on_a_terminal_is_quiet(tmp_path: Path) -> None:
    printed, heard = served(tmp_path)
    assert printed.splitlines()[0].startswith("http://127.0.0.1:")
    assert f"store  {tmp_path / 'store'}" in printed
    assert "Ctrl-C stops it" in printed
    assert "healthz" not in heard


def test_a_server_s_address_is_one_row_of_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = "postgresql+psycopg://me:secret@host/runs"
    say = announcer(store, "runs", on_terminal=True, as_json=True)
    say("http://127.0.0.1:8765")
    say("read-only: the folder cannot be written")
    printed, told = capsys.readouterr()
    assert json.loads(printed) == {
        "address": "http://127.0.0.1:8765",
        "store": "postgresql+psycopg://host/runs",
        "runs": "runs",
    }
    assert told == "read-only: the folder cannot be written\n"
