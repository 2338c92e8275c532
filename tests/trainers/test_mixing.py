"""`olmes train mix`: recipes of a mix, equal budgets, proposals, resuming, and poison that is found."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from olmes.benchmark.registry import module_from_file
from olmes.cli import olmes
from olmes.comparison.mix_advice import Advice
from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.trainers.mixing.places import BEGUN, RECIPE, ROUND, begin
from olmes.trainers.mixing.proposal import mix_text, write_proposal
from olmes.trainers.mixing.recipe import called, read_mix
from olmes.trainers.mixing.rounds import alone_in, run_mix, runs_of, stage_text
from olmes.trainers.mixing.variants import apportioned
from olmes.trainers.recipes.files import read_recipe
from olmes.trainers.recipes.identity import recipe_hash
from tests.trainers.conftest import turns

SOURCES = ("ones", "twos", "threes", "poison")
MIX = """
name = "toy"
stage = "sft"
model = "{model}"
max_length = 64
rows = {rows}
hardware = {{ device = "cpu", data_processes = 1 }}
checkpoints = {{ every = 30 }}
[data]
"ones.jsonl" = {{ weight = 1 }}
"twos.jsonl" = {{ weight = 1 }}
"threes.jsonl" = {{ weight = 1 }}
"poison.jsonl" = {{ weight = 2 }}
[optimization]
batch_size = 32
micro_batch_size = 32
learning_rate = 1e-3
epochs = 1
[scoring]
tasks = ["{task}"]
limit = {limit}
options = {{ device = "cpu" }}
[mix]
ablations = ["leave_one_out"]
"""
SAID: list[str] = []


@pytest.fixture
def mix_file(
    tmp_path: Path, addition_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """The file of a mix whose last source has every sum wrong by ten."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))

    def write(model: Path, *, rows: int = 64, limit: int = 6, more: str = "") -> Path:
        docs = module_from_file(addition_file).training_docs()
        for at, name in enumerate(SOURCES):
            own = docs[at * 600 : (at + 1) * 600]
            wrong = 10 if name == "poison" else 0
            chats = [turns(d["question"], str(int(d["answer"]) + wrong)) for d in own]
            jsonl.write(tmp_path / f"{name}.jsonl", [{"messages": chat} for chat in chats])
        path = tmp_path / "toy.toml"
        text = MIX.format(model=model, task=addition_file, rows=rows, limit=limit)
        path.write_text(text + more, "utf-8")
        return path

    return write


def changed(path: Path, *pairs: tuple[str, str]) -> Path:
    """The file with texts replaced."""
    text = path.read_text("utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    return path


def test_every_variant_has_the_same_rows(mix_file: Callable[..., Path], tiny_chat: Path) -> None:
    path = changed(
        mix_file(tiny_chat, rows=101), ('"leave_one_out"', '"leave_one_out", "double_one"')
    )
    mix = read_mix(path, {"mix.seeds": "2"})
    rows = {one.variant.name: dict(one.variant.rows) for one in mix.variants}
    assert len(rows) == 9
    assert {sum(own.values()) for own in rows.values()} == {101}
    assert rows["full mix"]["poison"] == 41
    assert rows["without poison"] == {"ones": 34, "twos": 34, "threes": 33}
    assert rows["poison doubled"]["poison"] == 58  # 4 of 7
    runs = runs_of(mix, Path("round-1"), Path("out"))
    assert len({run.folder for run in runs}) == 18
    assert {run.recipe.seed for run in runs} == {42, 43}
    assert len({recipe_hash(run.recipe) for run in runs}) == 18
    assert {run.recipe.scoring.out for run in runs} == {str(Path("out/runs"))}
    # As a file, which several processes are launched with, each is the same training.
    file = path.with_name("variant.toml")
    for run in runs:
        file.write_text(stage_text(run.recipe), "utf-8")
        assert read_recipe(file, "sft") == run.recipe


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (
            ["a.jsonl", "/x/b.v2.parquet", "small-sft", "me/set"],
            ["a", "b.v2", "small-sft", "me/set"],
        ),
        (["a/x.jsonl", "b/x.jsonl.gz"], ["a/x.jsonl", "b/x.jsonl.gz"]),
        (["/d/a/x.jsonl", "/d/b/x.jsonl"], ["a/x.jsonl", "b/x.jsonl"]),
        (["/d/a/x.jsonl", "/e/a/x.jsonl"], ["/d/a/x.jsonl", "/e/a/x.jsonl"]),
    ],
)
def test_sources_have_short_names_that_differ(keys: list[str], names: list[str]) -> None:
    assert called(keys) == names


@pytest.mark.parametrize("rows", [4, 7, 1000, 99_999])
def test_rows_add_up_whatever_the_weights(rows: int) -> None:
    weights = {"a": 0.3, "b": 1 / 3, "c": 17.0, "d": 2.5}
    found = apportioned(weights, rows)
    assert sum(found.values()) == rows
    for name, weight in weights.items():
        assert abs(found[name] - rows * weight / sum(weights.values())) < 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '"ones.jsonl" = { weight = 1 }',
            '"ones.jsonl" = { count = 9 }',
            "'data.ones' has no weight",
        ),
        ("rows = 64", "rows = 3", "would have none in the mixture"),
        ("[mix]", "[other]", "describes no mix"),
        ('"leave_one_out"', '"leave_two_out"', "known are leave_one_out, double_one"),
        ('"leave_one_out"', "", "ablations is empty"),
        ('stage = "sft"', 'stage = "reward"', "must be one of sft, dpo, rlvr"),
        ("[scoring]", "[validation]", "validation"),
        ("[mix]", "[mix]\nseeds = 0", "mix.seeds"),
        ("[mix]", '[unseen]\nreason = "r"\n[mix]', "add 'look = true'"),
        ("[mix]", "[unseen]\nlook = true\n[mix]", "'unseen.reason' is missing"),
        ("[mix]", '[gate]\nbaseline = "start"\n[mix]', "remove \\[gate\\]"),
        ("[mix]", "[sft]\n[mix]", "describes a chain"),
        ('"twos.jsonl"', '"./ones.jsonl"', "are the same file"),
    ],
)
def test_a_recipe_that_would_say_nothing_is_refused(
    mix_file: Callable[..., Path], tiny_chat: Path, old: str, new: str, says: str
) -> None:
    path = changed(mix_file(tiny_chat), (old, new))
    with pytest.raises(OlmesError, match=says):
        read_mix(path)


def test_a_mix_needs_two_sources_and_scores(mix_file: Callable[..., Path], tiny_chat: Path) -> None:
    path = mix_file(tiny_chat)
    with pytest.raises(OlmesError, match="nothing is scored"):
        read_mix(path, {"scoring.tasks": "[]"})
    with pytest.raises(OlmesError, match="one source"):
        read_mix(path, {"data": '{ "ones.jsonl" = { weight = 1 } }'})
    wrong = CliRunner().invoke(olmes, ["train", "sft", str(path)])
    assert "run it with 'olmes train mix" in str(wrong.exception)
    wrong = CliRunner().invoke(olmes, ["train", "sft", "small-sft", "--accept"])
    assert "--accept takes the proposal of a mix" in str(wrong.exception)
    shown = CliRunner().invoke(olmes, ["train", "mix", str(path), "--show"])
    assert json.loads(shown.output)["variants"]["full mix"]["poison"] == 25


def test_a_proposal_is_a_recipe_of_its_own(
    mix_file: Callable[..., Path], tiny_chat: Path, tmp_path: Path
) -> None:
    more = 'seeds = 2\n[unseen]\nlook = true\nreason = "why # \\"not\\""\n'
    mix = read_mix(mix_file(tiny_chat, more=more), {"optimization.learning_rate": "2e-3"})
    again = tmp_path / "elsewhere/again.toml"
    again.parent.mkdir()
    again.write_text(mix_text(mix), "utf-8")
    read = read_mix(again)
    assert (read.recipe, read.mixing, read.unseen) == (mix.recipe, mix.mixing, mix.unseen)
    advice = [
        Advice(source=name, weight=weight, proposed=new, reason=f"because of {name}")
        for (name, weight), new in zip(mix.weights.items(), (1.0, 2.0, 1.0, 0.0), strict=True)
    ]
    file = write_proposal(mix, advice, tmp_path / "out")
    proposed = read_mix(file)
    assert proposed.weights == {"ones": 1.0, "twos": 2.0, "threes": 1.0}
    assert (proposed.mixing.round, proposed.name) == (2, "toy")
    assert proposed.recipe.optimization.learning_rate == 2e-3
    assert "# poison: 2 → left out. Because of poison." in file.read_text("utf-8")


def test_a_round_of_another_recipe_is_refused(
    mix_file: Callable[..., Path], tiny_chat: Path, tmp_path: Path
) -> None:
    path, out = mix_file(tiny_chat), tmp_path / "out"
    folder = begin(read_mix(path), out)
    assert (folder / RECIPE).is_file()
    begin(read_mix(path, {"rows": "80"}), out)  # nothing is trained yet: it is replaced
    (folder / "full-1").mkdir()
    (folder / "full-1/done.json").touch()
    begin(read_mix(path, {"rows": "80", "optimization.micro_batch_size": "8"}), out)
    with pytest.raises(OlmesError, match="'rows' differs: 80 then, 64 now"):
        begin(read_mix(path), out)
    with pytest.raises(OlmesError, match="'data.poison' differs"):
        begin(read_mix(path, {"rows": "80", 'data."poison.jsonl".weight': "3"}), out)
    with pytest.raises(OlmesError, match="'mix.seeds' differs"):
        begin(read_mix(path, {"rows": "80", "mix.seeds": "3"}), out)


def test_nothing_is_accepted_that_was_not_proposed(
    mix_file: Callable[..., Path], tiny_chat: Path, tmp_path: Path
) -> None:
    mix, out = read_mix(mix_file(tiny_chat)), tmp_path / "out"
    with pytest.raises(OlmesError, match="no proposed mix yet"):
        run_mix(mix, out, accept=True, settings={}, say=SAID.append)
    with alone_in(out), pytest.raises(OlmesError, match="another command works in"):
        run_mix(mix, out, settings={}, say=SAID.append)
    folder = begin(mix, out)
    (folder / ROUND).write_text('{"changes": true}', "utf-8")
    with pytest.raises(OlmesError, match=r"proposed-round-2\.toml is missing"):
        run_mix(mix, out, accept=True, settings={}, say=SAID.append)
    once = read_mix(mix.path, {"mix.rounds": "1"})
    with pytest.raises(OlmesError, match="all rounds of toy are over"):
        run_mix(once, out, accept=True, settings={"mix.rounds": "1"}, say=SAID.append)
    assert not (out / "round-2" / BEGUN).exists()


@pytest.mark.slow
def test_three_rounds_find_the_poison(
    mix_file: Callable[..., Path], warm_start: Callable[..., Path], tmp_path: Path
) -> None:
    """One of four sources is wrong by ten; killed by SIGKILL on the way, and resumed."""
    more = "seeds = 2\n"
    path, out = mix_file(warm_start(), rows=960, limit=300, more=more), tmp_path / "out"
    command = [sys.executable, "-m", "olmes", "train", "mix", str(path), "--out", str(out)]
    for state in ("round-1/without-ones-1/checkpoint-30", "round-1/without-twos-1/final"):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as one:
            end = time.monotonic() + 300
            while not (out / state).exists() and one.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            one.kill()
        assert (out / state).exists()
        assert not (out / "round-1" / ROUND).exists()
    done = out / "round-1/full-1/done.json"
    before = done.stat().st_mtime_ns
    for accept in ([], ["--accept"], ["--accept"]):
        subprocess.run([*command, *accept], check=True)
    assert done.stat().st_mtime_ns == before
    report = json.loads((out / "mix.json").read_text("utf-8"))
    first = {one["source"]: one for one in report["rounds"][0]["advice"]}
    assert first["poison"]["proposed"] == 0
    assert all(first[name]["proposed"] > 0 for name in SOURCES if name != "poison")
    [row] = [
        r for r in report["rounds"][0]["dev"]["rows"] if r["variant"]["name"] == "without poison"
    ]
    assert row["differences"]["addition"]["p_adjusted"] < 0.05
    assert row["differences"]["addition"]["verdict"] == "better"
    later = report["over_rounds"]["rows"][1:]
    assert later[0]["differences"]["addition"]["verdict"] == "better"
    assert "poison" not in (out / "proposed-round-2.toml").read_text("utf-8").split("[data]")[1]


@pytest.mark.slow
def test_a_look_is_in_the_ledger_and_stands_beside_dev(
    mix_file: Callable[..., Path], tiny_chat: Path, tmp_path: Path, addition_file: Path
) -> None:
    (tmp_path / "kept.toml").write_text(
        'name = "kept"\nheld_out = true\ntasks = ["kept_task.py"]\n'
        '[[pairs]]\ndev = ["addition"]\nunseen = "kept_task"\n', "utf-8"
    )  # fmt: skip
    source = addition_file.read_text("utf-8").replace('name = "addition"', 'name = "kept_task"')
    (tmp_path / "kept_task.py").write_text(source, "utf-8")
    more = '[unseen]\nsuite = "kept.toml"\nlook = true\nreason = "the test"\nlimit = 5\n'
    path, out = mix_file(tiny_chat, more=more), tmp_path / "out"
    changed(
        path, ('"poison.jsonl" = { weight = 2 }\n', ""), ('"threes.jsonl" = { weight = 1 }\n', "")
    )
    for _ in range(2):
        run_mix(read_mix(path), out, settings={}, say=SAID.append)
    looks = [json.loads(line) for line in (out / "runs/ledger.jsonl").open()]
    runs = [entry for entry in looks if entry["event"] == "run"]
    assert len(runs) == 3  # the full mix and two ablations, once each
    assert {(entry["family"], entry["reason"]) for entry in runs} == {("toy", "the test")}
    report: Any = json.loads((out / "mix.json").read_text("utf-8"))
    assert report["rounds"][0]["unseen"]["columns"][0]["name"] == "kept_task"
    assert "addition / kept" in (out / "mix.md").read_text("utf-8").replace("\\", "")
