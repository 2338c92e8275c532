"""Checkpoints one after another in one process: each leaves what it would leave alone."""

from __future__ import annotations

import gc
import json
import re
import shutil
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from olmes import OlmesError, evaluate, evaluate_sequence
from olmes.cli.run import command
from olmes.models.checkpoint import folder as files
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.model import HFModel
from olmes.models.hf.warm import WarmMemory
from olmes.sequence import expand
from olmes.tools.hashing import file_sha256
from olmes.types import Generation, Message, Request
from tests.factories import lasting

if TYPE_CHECKING:
    from olmes.models.base import Done

SETTINGS = {"gsm8k.shots": 1, "gsm8k.max_tokens": 6}
OPTIONS: dict[str, Any] = {
    "limit": 3,
    "settings": SETTINGS,
    "scoring_processes": 1,
    "use_cache": False,
}
STEPS = (9, 10, 100)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)


@pytest.fixture
def checkpoints(tiny_folder: Path, tmp_path: Path) -> Path:
    """`step_9`, `step_10` and `step_100`, of one architecture and with weights of their own."""
    place = tmp_path / "ckpts"
    for step in STEPS:
        altered(tiny_folder, place / f"step_{step}", step)
    return place


def altered(source: Path, target: Path, seed: int) -> None:
    """A copy of a checkpoint with other weights."""
    import torch
    from transformers import AutoModelForCausalLM

    shutil.copytree(source, target)
    model = AutoModelForCausalLM.from_pretrained(source)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    model.save_pretrained(target)


def weights_of(folder: Path) -> dict[str, str]:
    return {str(path): file_sha256(path) for path in folder.glob("*/model.safetensors")}


def test_each_record_is_that_of_a_single_run(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights_of(checkpoints)
    loads: list[str] = []
    load = files.load_weights

    def watched(name: str, *rest: Any) -> Any:
        loads.append(name)
        return load(name, *rest)

    monkeypatch.setattr(files, "load_weights", watched)
    members = evaluate_sequence(
        "gsm8k", f"{checkpoints}/step_*", out=tmp_path / "together", **OPTIONS
    )
    assert [Path(member.model).name for member in members] == ["step_9", "step_10", "step_100"]
    assert len(loads) == 1, "only the first checkpoint's weights are loaded anew"
    assert weights_of(checkpoints) == before, "a checkpoint's file was written into"
    responses = set()
    for member in members:
        alone = evaluate("gsm8k", model=member.model, out=tmp_path / "alone", **OPTIONS)
        assert member.record is not None
        assert member.record.id == alone.id
        assert lasting(member.record) == lasting(alone)
        samples = [record.samples_path("gsm8k").read_bytes() for record in (member.record, alone)]
        assert samples[0] == samples[1]
        responses.add(samples[0])
    assert len(responses) == len(STEPS), "the checkpoints answer alike, so nothing was shown"


def test_another_architecture_in_between_is_loaded_anew(
    checkpoints: Path, build: Callable[..., Path], tmp_path: Path
) -> None:
    build(checkpoints / "step_50", config={"hidden_size": 32})
    members = evaluate_sequence("gsm8k", f"{checkpoints}/step_*", out=tmp_path / "a", **OPTIONS)
    assert [member.complete for member in members] == [True] * 4
    for member in members:
        alone = evaluate("gsm8k", model=member.model, out=tmp_path / "b", **OPTIONS)
        assert member.record is not None
        assert lasting(member.record) == lasting(alone)


def test_swapped_weights_are_the_files(checkpoints: Path) -> None:
    import torch

    warm = WarmMemory()
    first = warm.weights("a", checkpoints / "step_9", "float32", "cpu")
    second = warm.weights("b", checkpoints / "step_10", "float32", "cpu")
    assert second is first
    assert warm.swaps == 1
    fresh = files.load_weights("b", checkpoints / "step_10", "float32", "cpu")
    ours, theirs = second.state_dict(), fresh.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_memory_holds_one_model(
    checkpoints: Path, build: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = build(checkpoints / "other", config={"hidden_size": 32})
    warm = WarmMemory()
    first = weakref.ref(warm.weights("a", checkpoints / "step_9", "float32", "cpu"))
    gone: list[bool] = []
    load = files.load_weights

    def watched(*arguments: Any) -> Any:
        gc.collect()
        gone.append(first() is None)
        return load(*arguments)

    monkeypatch.setattr(files, "load_weights", watched)
    warm.weights("b", other, "float32", "cpu")
    assert gone == [True], "the old weights were still there when new ones were loaded"


def test_a_torn_file_leaves_no_mixture(checkpoints: Path) -> None:
    warm = WarmMemory()
    warm.weights("a", checkpoints / "step_9", "float32", "cpu")
    torn = checkpoints / "step_10/model.safetensors"
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OlmesError, match="cannot be loaded"):
        warm.weights("b", checkpoints / "step_10", "float32", "cpu")
    torn.write_bytes(whole)
    warm.weights("a", checkpoints / "step_100", "float32", "cpu")
    assert warm.swaps == 0, "weights were swapped into a module that was left half swapped"


def test_prompts_and_continuations_are_kept(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat: tuple[Message, ...] = ({"role": "user", "content": "What is the capital of France?"},)
    request = Request(
        generation=Generation(max_tokens=1), messages=chat, continuations=(" Paris", " Rome")
    )
    warm = WarmMemory()
    cold = HFModel("cold", LocalCheckpoint(tiny_folder), device="cpu").encoder
    one, two = (
        HFModel(name, LocalCheckpoint(tiny_folder), device="cpu", warm=warm).encoder
        for name in "ab"
    )
    wanted = cold.encode(request)
    joined = [cold.with_continuation(wanted, text) for text in request.continuations]
    for encoder in (one, two):
        assert encoder.encode(request) == wanted
        assert [encoder.with_continuation(wanted, text) for text in request.continuations] == joined
        # Nothing is tokenized a second time.
        monkeypatch.setattr(type(encoder), "tokens", lambda *_: pytest.fail("made anew"))


def run(*arguments: object) -> tuple[int, str, str]:
    """`olmes run` in this process: exit status, standard output and standard error."""
    done = CliRunner().invoke(command, list(map(str, arguments)), standalone_mode=False)
    assert done.exception is None or isinstance(done.exception, OlmesError), done.exception
    if done.exception:
        raise done.exception
    return int(done.return_value or 0), done.stdout, done.stderr


ARGUMENTS = (
    "--task", "gsm8k", "--limit", 2, "--set", "gsm8k.shots=1", "--set", "gsm8k.max_tokens=4",
)  # fmt: skip


def test_a_half_written_checkpoint_is_refused_and_the_others_go_on(
    checkpoints: Path, tmp_path: Path
) -> None:
    torn = checkpoints / "step_10/model.safetensors"
    torn.write_bytes(torn.read_bytes()[:-100])
    pattern = (*ARGUMENTS, "--out", tmp_path / "runs", "--model", f"{checkpoints}/step_*")
    status, printed, errors = run(*pattern)
    assert status == 1
    assert "step_10 is not a whole checkpoint: model.safetensors is cut short" in errors
    table, _, below = printed.partition("\n!")
    assert re.findall(r"step_\d+", table) == ["step_9", "step_100"]
    assert "step_10: " in below
    assert "is cut short" in below
    status, printed, _ = run(*pattern, "--json")
    rows = json.loads(printed)
    assert status == 1
    assert [row["model"].get("step") for row in rows] == [9, None, 100]
    assert [bool(row["error"]) for row in rows] == [False, True, False]
    assert all(Path(row["report"]).is_file() for row in rows if not row["error"])
    altered(checkpoints / "step_9", tmp_path / "mended", 3)
    shutil.copy(tmp_path / "mended/model.safetensors", torn)
    assert run(*pattern)[0] == 0


def test_a_checkpoint_that_breaks_off_loses_no_other(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = HFModel.generate

    def breaking(self: HFModel, requests: Sequence[Request], done: Done) -> None:
        if self.name.endswith("step_9"):
            raise RuntimeError("the device is gone")
        generate(self, requests, done)

    monkeypatch.setattr(HFModel, "generate", breaking)
    members = evaluate_sequence("gsm8k", f"{checkpoints}/step_*", out=tmp_path / "runs", **OPTIONS)
    assert [member.complete for member in members] == [False, True, True]
    assert "the device is gone" in members[0].trouble
    assert "breaking" in members[0].trace


def test_names_and_patterns_are_ordered_by_step(checkpoints: Path, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, checkpoints / "final")
    base = str(tiny_folder)
    shell = sorted(map(str, checkpoints.glob("*")))  # as a shell writes a pattern out
    ordered = [str(checkpoints / name) for name in ("step_9", "step_10", "step_100", "final")]
    assert expand([base, *shell]) == [base, *ordered]
    assert expand([f"{checkpoints}/step_*", base, f"{checkpoints}/step_9"]) == [base, *ordered[:3]]
    assert expand([f"hf:{checkpoints}/step_1*"]) == [f"hf:{one}" for one in ordered[1:3]]
    options = "?tensor_parallel_size=2"
    assert expand([f"vllm:{checkpoints}/step_1*{options}"]) == [
        f"vllm:{one}{options}" for one in ordered[1:3]
    ]
    with pytest.raises(OlmesError, match="no folder fits"):
        expand([f"{checkpoints}/epoch_*"])


def test_a_pattern_without_quotes_is_the_same(checkpoints: Path, tmp_path: Path) -> None:
    first, second = str(checkpoints / "step_10"), str(checkpoints / "step_9")
    status, printed, _ = run(
        *ARGUMENTS, "--out", tmp_path / "runs", "--json", "--model", first, second
    )
    assert status == 0
    assert [row["model"]["step"] for row in json.loads(printed)] == [9, 10]
    with pytest.raises(OlmesError, match="olmes run --task gsm8k --model MODEL"):
        run("gsm8k")


def test_every_checkpoint_is_a_look_of_its_own(checkpoints: Path, tmp_path: Path) -> None:
    suite = tmp_path / "late.toml"
    suite.write_text(
        'name = "late"\ntitle = "Late"\ntasks = ["gsm8k"]\naggregate = "mean"\nheld_out = true\n'
        'description = "x"\n'
    )
    with pytest.raises(OlmesError, match="--reason"):
        evaluate_sequence(str(suite), f"{checkpoints}/step_*", out=tmp_path / "runs", **OPTIONS)
    members = evaluate_sequence(
        str(suite), f"{checkpoints}/step_*", out=tmp_path / "runs", look="the end", **OPTIONS
    )
    entries = [
        json.loads(line) for line in (tmp_path / "runs/ledger.jsonl").read_text().splitlines()
    ]
    looks = [entry["run"] for entry in entries if entry.get("event") == "run"]
    assert looks == [member.record.id for member in members if member.record]
    assert len(looks) == len(STEPS)


def test_a_torn_header_is_a_sentence(checkpoints: Path) -> None:
    torn = checkpoints / "step_10/model.safetensors"
    torn.write_bytes(torn.read_bytes()[:100])
    with pytest.raises(OlmesError, match="is cut short"):
        run(*ARGUMENTS, "--estimate", "--model", f"{checkpoints}/step_*")
