"""Checkpoints that are no Hugging Face folder: whose they are, told by their files, and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEPTH = 5
MOST = 3000
"""Files that are looked at: a folder of a training on hundreds of devices has many."""


@dataclass(frozen=True, slots=True)
class TrainerFormat:
    """What a training library writes instead of a model's folder."""

    name: str
    files: re.Pattern[str]
    """Matches the path of one of its files, relative to the checkpoint."""
    remedy: str


def _format(name: str, files: str, remedy: str) -> TrainerFormat:
    return TrainerFormat(name, re.compile(files), remedy)


FORMATS = (
    _format(
        "verl's FSDP shards", r"(^|/)model_world_size_\d+_rank_\d+\.pt$",
        "join them with `python -m verl.model_merger merge --backend fsdp --local_dir "
        "CHECKPOINT/actor --target_dir CHECKPOINT/actor/huggingface`, or have verl save the model "
        "with them (hf_model in actor_rollout_ref.actor.checkpoint.save_contents)",
    ),
    _format(
        "verl's Megatron shards", r"(^|/)dist_ckpt/",
        "join them with `python -m verl.model_merger merge --backend megatron --local_dir "
        "CHECKPOINT/actor --target_dir CHECKPOINT/actor/huggingface`",
    ),
    _format(
        "NeMo-RL's Megatron shards", r"(^|/)policy/weights/iter_\d+/",
        "convert them with NeMo-RL's `examples/converters/convert_megatron_to_hf.py --config "
        "CHECKPOINT/config.yaml --megatron-ckpt-path CHECKPOINT/policy/weights/iter_0000000 "
        "--hf-ckpt-path CHECKPOINT-hf`",
    ),
    _format(
        "NeMo-RL's shards", r"(^|/)policy/weights/.*(\.distcp|\.metadata|shard-[^/]*\.safetensors)$",
        "convert them with NeMo-RL's `examples/converters/convert_dcp_to_hf.py --config "
        "CHECKPOINT/config.yaml --dcp-ckpt-path CHECKPOINT/policy/weights --hf-ckpt-path "
        "CHECKPOINT-hf`, or set checkpointing.save_consolidated and "
        "checkpointing.model_save_format=safetensors",
    ),
    _format(
        "OLMo-core's shards", r"(^|/)model_and_optim/",
        "convert them with OLMo-core's `src/examples/huggingface/convert_checkpoint_to_hf.py "
        "--checkpoint-input-path CHECKPOINT --huggingface-output-dir CHECKPOINT-hf`",
    ),
    _format(
        "FSDP shards", r"(^|/)pytorch_model_fsdp",
        "set fsdp_config's state_dict_type to FULL_STATE_DICT, or join the shards with "
        "`accelerate merge-weights` (axolotl: `axolotl merge-sharded-fsdp-weights`)",
    ),
    _format(
        "Megatron's shards", r"(^|/)(common\.pt|mp_rank_\d+(_\d+)*/model_(optim_)?rng\.pt)$",
        "convert them with Megatron Bridge's `examples/conversion/convert_checkpoints.py export "
        "--hf-model MODEL --megatron-path CHECKPOINT --hf-path CHECKPOINT-hf` (slime: "
        "`tools/convert_torch_dist_to_hf.py`)",
    ),
    _format(
        "DeepSpeed shards",
        r"(^|/)(global_step\d*(/|$)|[^/]*_model_states\.pt$|zero_pp_rank_|mp_rank_)",
        "set stage3_gather_16bit_weights_on_model_save (OpenRLHF: its option to save Hugging Face "
        "checkpoints, --save_hf_ckpt), or join the shards with the checkpoint's own zero_to_fp32.py",
    ),
    _format(
        "LitGPT's weights", r"(^|/)lit_model\.pth",
        "convert them with `litgpt convert_from_litgpt CHECKPOINT CHECKPOINT-hf`",
    ),
    _format(
        "nanotron's weights", r"(^|/)checkpoint_metadata\.json$",
        "convert them with nanotron's `examples/llama/convert_nanotron_to_hf.py "
        "--checkpoint_path=CHECKPOINT --save_path=CHECKPOINT-hf`",
    ),
    _format(
        "MaxText's weights", r"(^|/)(_CHECKPOINT_METADATA$|items/|model_params/)",
        "convert them with `python -m maxtext.checkpoint_conversion.to_huggingface "
        "load_parameters_path=CHECKPOINT/items base_output_directory=CHECKPOINT-hf`",
    ),
    _format(
        "Levanter's weights", r"(^|/)(manifest\.ocdbt|\.zarray|zarr\.json)$",
        "convert them with `python -m levanter.main.export_lm_to_hf --checkpoint_path CHECKPOINT "
        "--output_dir CHECKPOINT-hf`, or set hf_save_path for the training",
    ),
    _format(
        "NeMo's weights", r"(^|/)context/(io\.json|model\.yaml)$|\.nemo$",
        "convert them with `nemo.collections.llm.export_ckpt(path, target='hf')`",
    ),
    _format(
        "prime-rl's trainer state", r"(^|/)trainer/([^/]*\.distcp|\.metadata)$",
        "watch its weights/step_N instead ([ckpt.weights] in prime-rl's settings)",
    ),
    _format(
        "the shards of torch.distributed.checkpoint", r"\.distcp$|(^|/)\.metadata$",
        "have the trainer save the whole model (a Hugging Face trainer: FULL_STATE_DICT), or "
        "convert them (torchtitan: `scripts/checkpoint_conversion/convert_to_hf.py`, or "
        "checkpoint.last_save_in_hf)",
    ),
    _format(
        "torchtune's own weights", r"(^|/)(recipe_state|hf_model_\d+_\d+|torchtune_model_?\d*)\.pt$",
        "train with its FullModelHFCheckpointer, which writes Hugging Face weights, and keep the "
        "base model's config.json and tokenizer beside them",
    ),
    _format(
        "the files of accelerate's save_state", r"(^|/)random_states_\d+\.pkl$",
        "save the model with `accelerator.unwrap_model(model).save_pretrained(FOLDER)` and the "
        "tokenizer beside it",
    ),
    _format(
        "Meta's weights", r"(^|/)consolidated\.\d+\.pth$",
        "convert them with transformers' `models/llama/convert_llama_weights_to_hf.py`",
    ),
    _format(
        "a Lightning checkpoint", r"\.ckpt(/|$)",
        "save the model as well with `model.save_pretrained(FOLDER)`, and the tokenizer beside it",
    ),
    _format(
        "a GGUF file", r"\.gguf$", "keep the Hugging Face folder that it was made of",
    ),
)  # fmt: skip
"""The first that fits, so those of single libraries before what several of them build on."""


def format_of(folder: Path) -> TrainerFormat | None:
    """Whose files a folder, or a single file, has instead of a model's."""
    names = [folder.name] if folder.is_file() else list(names_in(folder))
    return next((one for one in FORMATS if any(map(one.files.search, names))), None)


def names_in(folder: Path) -> Iterator[str]:
    """Relative paths of what is in a folder, those nearest to its top first."""
    left = [(folder, "", 1)]
    count = 0
    for place, before, depth in left:
        try:
            inside = sorted(place.iterdir())
        except OSError:  # it is being removed, or nobody may read it
            continue
        for path in inside:
            count += 1
            if count > MOST:
                return
            within = path.is_dir()
            yield f"{before}{path.name}{'/' if within else ''}"
            if within and depth < DEPTH:
                left.append((path, f"{before}{path.name}/", depth + 1))
