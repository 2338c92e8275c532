"""Folders as the libraries write them: which are taken, under which label, and what is said else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes.cli.watch import command
from olmes.models.checkpoint.completeness import trouble_of
from olmes.models.checkpoint.names import read_name
from olmes.trainers.checkpoints.request import EvalRequest
from olmes.trainers.checkpoints.scoring import ScoringOptions
from olmes.trainers.checkpoints.watch import FolderWatch
from tests.known import known

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab

Scan = Callable[..., list[str]]


@pytest.fixture
def scanned(lab: Lab) -> Scan:
    """`scanned(PATH, ...)`: what a watcher says after two scans of a folder with these in it.

    A path that ends in `/` is a whole model; another one is a file that a trainer may write.
    """

    def scan(*paths: str) -> list[str]:
        lab.output_dir.mkdir(exist_ok=True)
        for path in paths:
            place = lab.output_dir / path
            if path.endswith("/"):
                shutil.copytree(lab.base, place, dirs_exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text("{}")
        said: list[str] = []
        request = EvalRequest(
            target=str(lab.suite), out=str(lab.runs), data=str(lab.data), asked_by="watcher"
        )
        watcher = FolderWatch(lab.output_dir, ScoringOptions(request=request), say=said.append)
        watcher.scan()
        watcher.scan()
        watcher.scan()
        return said

    return scan


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("step_20/", "step_20"),  # open-instruct, prime-rl
        ("global_step20_hf/", "global_step20_hf"),  # OpenRLHF
        ("iter_0000010/", "iter_0000010"),  # exported from Megatron
        ("iter_0000010/hf/", "iter_0000010"),
        ("epoch_2/", "epoch_2"),  # torchtune
        ("epoch=1-step=100/", "epoch=1-step=100"),  # Lightning
        ("hf_step_20/", "hf_step_20"),
        ("checkpoint-30-merged/", "checkpoint-30-merged"),  # ms-swift
        ("step1000-unsharded-hf/", "step1000-unsharded-hf"),  # OLMo-core
        ("global_step_5/actor/huggingface/", "global_step_5"),  # verl
        ("step_5/policy/weights/model/consolidated/", "step_5"),  # NeMo-RL
        ("weights/step_20/", "weights-step_20"),  # prime-rl
        ("20/", "20"),  # nanotron, MaxText
        ("20-hf/", "20-hf"),
        ("epoch0epochstep4globalstep4/", "epoch0epochstep4globalstep4"),  # AReaL
        ("checkpoint-epoch-3/", "checkpoint-epoch-3"),
        ("epoch_0/step_20/", "epoch_0-step_20"),
        ("run-a-step-20/", "run-a-step-20"),
        ("CHECKPOINT_0020.hf/", "CHECKPOINT_0020.hf"),
        ("v0-2026/checkpoint-20_merged/", "v0-2026-checkpoint-20_merged"),
        ("a/b/step-20-hf/", "a-b-step-20-hf"),
        ("my-run-final/", "my-run-final"),
    ],
)
def test_names_of_libraries_and_their_neighbours(scanned: Scan, path: str, label: str) -> None:
    label = label.removeprefix("weights-")  # which says nothing of whose checkpoint it is
    assert scanned(path) == [f"{label} is queued"]


@pytest.mark.parametrize(
    "name",
    ["other", "v1.5", "20-hf", "Qwen2.5-7B", "stepwise-3", "footstep-3", "finalists", "checkpoint",
     "tmp_step_5", "tmp-checkpoint-20", "checkpoint-20.incomplete", "toy-checkpoint-20-dev-ab12",
     "checkpoint-1.5"],
)  # fmt: skip
def test_names_that_are_no_checkpoints(name: str) -> None:
    assert read_name(name) is None


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        ("global_step_5/actor/model_world_size_2_rank_0.pt", "verl.model_merger merge --backend fsdp"),
        ("global_step_5/actor/dist_ckpt/__0_0.distcp", "--backend megatron"),
        ("step_5/policy/weights/iter_0000000/common.pt", "convert_megatron_to_hf.py"),
        ("step_5/policy/weights/model/__0_0.distcp", "convert_dcp_to_hf.py"),
        ("step5/model_and_optim/.metadata", "convert_checkpoint_to_hf.py"),
        ("iter_0000010/mp_rank_00/model_optim_rng.pt", "convert_checkpoints.py export"),
        ("_actor/global_step5/mp_rank_00_model_states.pt", "--save_hf_ckpt"),
        ("checkpoints/step_5/trainer/__0_0.distcp", "weights/step_N"),
        ("step-5/__0_0.distcp", "convert_to_hf.py"),  # torchtitan
        ("10/checkpoint_metadata.json", "convert_nanotron_to_hf.py"),
        ("10/items/manifest.ocdbt", "maxtext.checkpoint_conversion.to_huggingface"),
        ("step-10/model/manifest.ocdbt", "levanter.main.export_lm_to_hf"),
        ("step-00000010/lit_model.pth", "litgpt convert_from_litgpt"),
        ("epoch_0/hf_model_0001_0.pt", "FullModelHFCheckpointer"),
        ("step_10/random_states_0.pkl", "save_pretrained"),
        ("checkpoint-10/pytorch_model_fsdp_0/__0_0.distcp", "FULL_STATE_DICT"),
        ("epoch=1-step=100.ckpt", "save_pretrained"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_with_the_library_s_own_remedy(
    scanned: Scan, file: str, remedy: str
) -> None:
    [line] = scanned(file)
    assert remedy in line
    assert "is queued" not in line


def test_a_configuration_without_weights_is_verl_s(scanned: Scan, lab: Lab) -> None:
    said = scanned(
        "global_step_5/actor/huggingface/", "global_step_5/actor/model_world_size_1_rank_0.pt"
    )
    assert said == ["global_step_5 is queued"]
    (lab.output_dir / "global_step_5/actor/huggingface/model.safetensors").unlink()
    shutil.rmtree(lab.runs)
    [line] = scanned()
    assert "verl" in line
    assert str(lab.output_dir / "global_step_5") in line


def test_a_tokenizer_beside_the_model_is_used(scanned: Scan, lab: Lab) -> None:
    scanned("step_5/policy/weights/model/consolidated/")
    shutil.rmtree(lab.runs)
    model = lab.output_dir / "step_5/policy/weights/model/consolidated"
    tokenizer = lab.output_dir / "step_5/policy/tokenizer"
    tokenizer.mkdir()
    for file in [*model.glob("token*"), *model.glob("*.jinja")]:
        file.rename(tokenizer / file.name)
    assert scanned() == ["step_5 is queued"]
    assert (lab.staged("step_5") / "tokenizer.json").is_file()


def test_steps_in_order_and_each_once(scanned: Scan) -> None:
    said = scanned(
        "checkpoint-100-merged/", "global_step20_hf/",
        "_actor/global_step20/mp_rank_00_model_states.pt",
        "_critic/global_step20/", "step_9/", "step_9/critic/", "hf_step_9/", "epoch_10/", "epoch_2/",
        "checkpoint-9.tmp/", "final/",
    )  # fmt: skip
    queued = [line.split()[0] for line in said if line.endswith("is queued")]
    assert queued == [
        "step_9", "global_step20_hf", "checkpoint-100-merged", "epoch_2", "epoch_10", "final",
    ]  # fmt: skip
    assert "hf_step_9 is step 9 again: step_9 is scored" in said


def test_trainings_side_by_side_are_told_apart(scanned: Scan) -> None:
    said = scanned("run-a/checkpoint-merged-2/", "run-a/step-2/", "run-b/step-2/")
    assert "run-a-step-2 is queued" in said
    assert "run-b-step-2 is queued" in said
    assert any("2 trainings are here (run-a, run-b)" in line for line in said)


def test_what_is_passed_over_is_named(scanned: Scan, lab: Lab) -> None:
    assert scanned() == [f"there is nothing to score in {lab.output_dir} yet: it is empty"]
    (lab.output_dir / "logs").mkdir()
    [line] = scanned("best_model/", "notes.txt")
    assert "no folder here is named like a checkpoint" in line
    assert "found: best_model, logs; best_model holds a model" in line
    said = scanned("step_5/")
    assert sorted(said) == [
        "passed over, as no step is in the name: best_model", "step_5 is queued",
    ]  # fmt: skip


def test_links_and_halves(scanned: Scan, lab: Lab) -> None:
    """A link is no second name; a whole copy goes before a save that was cut short."""
    scanned("step_20/")
    shutil.rmtree(lab.runs)
    (lab.output_dir / "last").symlink_to("step_20")
    (lab.output_dir / "latest").symlink_to("step_20")
    said = scanned("checkpoint-30/", "checkpoint-30-merged/")  # the first has no trainer's state
    assert [line for line in said if line.endswith("is queued")] == [
        "step_20 is queued", "checkpoint-30-merged is queued",
    ]  # fmt: skip
    assert "checkpoint-30 is step 30 again: checkpoint-30-merged is scored" in said
    assert len(said) == 3


def test_our_own_records_are_no_checkpoints(scanned: Scan, lab: Lab) -> None:
    for name in ("scores/toy-step-20-hf", "runs/checkpoints/out-1/files/step_5-abc/out/step_5"):
        shutil.copytree(lab.base, lab.output_dir / name)
    (lab.output_dir / "scores/toy-step-20-hf/run.json").write_text("{}")
    (lab.output_dir / "runs/ledger.jsonl").write_text("")
    assert scanned("step_5/") == ["step_5 is queued"]


def test_a_checkpoint_itself_can_be_watched(lab: Lab) -> None:
    place = lab.folder / "global_step_7"
    shutil.copytree(lab.base, place / "actor/huggingface")
    request = EvalRequest(target=str(lab.suite), out=str(lab.runs), data=str(lab.data))
    said: list[str] = []
    watcher = FolderWatch(place, ScoringOptions(request=request), say=said.append)
    watcher.scan()
    watcher.scan()
    assert said == ["global_step_7 is queued"]


def test_once_with_nothing_says_so_and_fails(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.output_dir.mkdir()
    given = [str(lab.output_dir), "--suite", str(lab.suite), "--data", str(lab.data)]
    status = command([*given, "--out", str(lab.runs), "--once"], standalone_mode=False)
    assert status == 1
    assert "there is nothing to score in" in capsys.readouterr().out


def test_only_a_trainer_s_own_name_asks_for_its_state(lab: Lab, tmp_path: Path) -> None:
    for name, whole in (("checkpoint-3", False), ("checkpoint-3-merged", True)):
        folder = shutil.copytree(lab.base, tmp_path / name)
        assert (trouble_of(folder) is None) == whole
    assert "trainer_state.json" in known(trouble_of(tmp_path / "checkpoint-3")).reason
