"""The chain: three stages from one file, stopped and resumed, every checkpoint scored."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.chain import read_chain, run_chain, run_stage
from olmes.trainers.on_trl.arguments import on_processor, sharding
from olmes.trainers.recipes.files import read_recipe
from olmes.trainers.together.launch import launch_line, shown
from olmes.trainers.train_log import scored_rows

CHAIN = """
name = "toy"
model = "{model}"
template = "tulu"
max_length = 64
hardware = {{ device = "cpu" }}
checkpoints = {{ every = 2 }}

[optimization]
batch_size = 8
micro_batch_size = 8
max_steps = 4
learning_rate = 1e-3

[scoring]
tasks = ["{task}"]
limit = 6
options = {{ device = "cpu" }}

[sft]
data = {{ "sft.jsonl" = {{ fraction = 1.0 }} }}

[dpo]
data = {{ "dpo.jsonl" = {{ fraction = 1.0 }} }}

[rlvr]
data = {{ "rlvr.jsonl" = {{ fraction = 1.0 }} }}
generations = 4
max_completion_length = 4
"""


@pytest.fixture
def chain_file(workshop: Any, addition_file: Path) -> Path:
    path: Path = workshop.folder / "toy.toml"
    path.write_text(CHAIN.format(model=workshop.model, task=addition_file), "utf-8")
    return path


def fingerprints(out: Path) -> list[str]:
    """The models each stage began from, as its recipe.json tells."""
    stages = ("sft", "dpo", "rlvr")
    return [json.loads((out / stage / "recipe.json").read_text())["model"] for stage in stages]


@pytest.mark.slow
def test_a_chain_from_one_file_to_one_page(
    chain_file: Path, tmp_path: Path, addition_file: Path
) -> None:
    suite = 'name = "kept"\nheld_out = true\ntasks = ["kept_task.py"]\n'
    (chain_file.parent / "kept.toml").write_text(suite, "utf-8")
    # The same task under another name, which no checkpoint is scored on.
    source = addition_file.read_text("utf-8").replace('name = "addition"', 'name = "kept_task"')
    (chain_file.parent / "kept_task.py").write_text(source, "utf-8")
    unseen = '[unseen]\nsuite = "kept.toml"\nreason = "the end of the test"\nlimit = 5\n'
    chain_file.write_text(chain_file.read_text("utf-8") + unseen, "utf-8")
    chain = read_chain(chain_file)
    said: list[str] = []
    out = tmp_path / "out"
    page = run_chain(chain, out, say=said.append)
    assert page == out / "training.html"
    text = page.read_text("utf-8")
    assert "SFT to step 4, DPO to step 8, RLVR to step 12;" in text
    for stage, loss in (("sft", "Loss per token"), ("dpo", "Loss"), ("rlvr", "Policy loss")):
        scored = scored_rows(out / stage, out / "runs")
        assert [step for step, _ in scored] == [2, 4]
        [own] = re.findall(rf">{stage.upper()} <span.*?</section>", text, re.DOTALL)
        assert f"<strong>{loss}</strong>" in own
        assert "<strong>Two-digit addition</strong>" in own
        assert "4 updates, steps" in own
        assert not (out / stage / "training.html").exists()
        lineage = json.loads((out / stage / "final/lineage.json").read_text())
        assert lineage[-1]["training"] == stage
    whole = json.loads((out / "rlvr/final/lineage.json").read_text())
    assert [step.get("training") for step in whole[-3:]] == ["sft", "dpo", "rlvr"]
    assert len(set(fingerprints(out))) == 3
    said.clear()
    assert run_chain(chain, out, say=said.append) == page
    assert {"sft is done", "dpo is done", "rlvr is done"} <= set(said)
    looks = [json.loads(line) for line in (out / "runs/ledger.jsonl").open()]
    [look] = [entry for entry in looks if entry["event"] == "run"]
    assert (look["family"], look["reason"]) == ("toy", "the end of the test")
    assert look["tasks"] == ["kept_task"]


@pytest.mark.slow
def test_a_killed_chain_goes_on_at_stage_and_step(
    chain_file: Path, tmp_path: Path, addition_file: Path
) -> None:
    """Killed by SIGKILL in the second stage; what comes of it equals what was never killed."""
    plain = CHAIN.split("[scoring]")[0] + "[sft]" + CHAIN.split("[sft]")[1]
    model = chain_file.read_text().split('model = "')[1].split('"')[0]
    chain_file.write_text(plain.format(model=model), "utf-8")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_chain(read_chain(chain_file), whole, say=lambda _: None)
    code = (
        "from pathlib import Path; from olmes.trainers.chain import read_chain, run_chain; "
        "import sys; run_chain(read_chain(sys.argv[1]), Path(sys.argv[2]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(chain_file), str(killed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    state = killed / "dpo/checkpoint-2/trainer_state.json"
    while not state.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert state.is_file()
    assert not (killed / "rlvr/done.json").exists()
    said: list[str] = []
    run_chain(read_chain(chain_file), killed, say=said.append)
    assert "sft is done" in said
    assert fingerprints(killed) == fingerprints(whole)
    from safetensors.torch import load_file

    ours, theirs = (load_file(o / "rlvr/final/model.safetensors") for o in (killed, whole))
    assert all(tensor.equal(theirs[name]) for name, tensor in ours.items())


def test_a_stage_whose_start_is_missing_is_refused(chain_file: Path, tmp_path: Path) -> None:
    chain = read_chain(chain_file)
    with pytest.raises(OlmesError, match="sft is not done yet"):
        run_stage(chain, "dpo", tmp_path)
    with pytest.raises(OlmesError, match="has no sft"):
        run_stage(read_chain("demo", {}).__class__(
            name="x", stages=chain.stages[1:], baseline=False, unseen=None
        ), "sft", tmp_path)  # fmt: skip


def test_the_launch_line_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it has GPUs is not asked: what is computed on is decided where it runs."""
    import torch

    arguments = ["train", "sft", "tulu3-8b-sft"]
    lines = []
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        lines.append(shown(launch_line(read_recipe("tulu3-8b-sft", "sft"), arguments)))
    assert lines[0] == lines[1]
    assert lines[0].startswith("torchrun --nproc_per_node 8 --nnodes 1 --standalone -m olmes train")
    sets = {"hardware.strategy": "fsdp", "hardware.machines": "2"}
    line = shown(launch_line(read_recipe("tulu3-8b-sft", "sft", sets), arguments))
    assert "--nproc_per_node 4 --nnodes 2 --node_rank $RANK --master_addr $HOST" in line
    uneven = {"hardware.machines": "3"}
    with pytest.raises(OlmesError, match="must be a multiple of hardware.machines"):
        launch_line(read_recipe("tulu3-8b-sft", "sft", uneven), arguments)


def test_the_strategy_is_given_to_the_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "8")
    sets = {"hardware.strategy": "fsdp"}
    given: Any = sharding(read_recipe("tulu3-8b-sft", "sft", sets))
    assert given["fsdp"] is True
    assert given["fsdp_config"]["state_dict_type"] == "FULL_STATE_DICT"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    given = sharding(read_recipe("tulu3-8b-sft", "sft"))
    zero = given["deepspeed"]["zero_optimization"]
    assert zero == {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True}
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(OlmesError, match=r"pip install 'olmes\[deepspeed\]'"):
        sharding(read_recipe("tulu3-8b-sft", "sft"))


def test_a_gpu_that_is_not_there_is_refused(workshop: Any) -> None:
    import torch

    assert not torch.cuda.is_available()
    recipe = workshop.recipe("sft", hardware={"device": "cuda"})
    with pytest.raises(OlmesError, match="has no GPU"):
        on_processor(recipe)


@pytest.mark.slow
def test_two_processes_make_the_update_of_one(workshop: Any, tmp_path: Path) -> None:
    """DDP on two processes: the same sequences an update, so the same sum and the same weights."""
    from safetensors.torch import load_file

    from olmes.cli import main

    text = (
        f'model = "{workshop.model}"\ntemplate = "tulu"\nmax_length = 64\nname = "two"\n'
        '[data]\n"sft.jsonl" = { fraction = 1.0 }\n'
        "[optimization]\nbatch_size = 8\nmicro_batch_size = 2\nmax_steps = 3\n"
        "learning_rate = 1e-3\n"
        '[hardware]\ndevice = "cpu"\n'
    )
    (workshop.folder / "two.toml").write_text(text, "utf-8")
    found = []
    for processes in (1, 2):
        out = tmp_path / f"p{processes}"
        arguments = ["train", "sft", str(workshop.folder / "two.toml"), "--out", str(out)]
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--set", f"hardware.processes={processes}"])
        assert ended.value.code == 0
        found.append(load_file(out / "final/model.safetensors"))
    for name, tensor in found[0].items():
        assert tensor.allclose(found[1][name], atol=2e-4), name
