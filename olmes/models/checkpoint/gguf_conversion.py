"""A Llama model with a GPT-2 style tokenizer, out of a GGUF file, as transformers saves it.

transformers can read such a file itself, but takes twenty seconds each time, refuses to save the
result, and loses part of the tokenizer's splitting rules. What is written here depends on the file
alone, and not on the version of any library, so that its fingerprint is the same everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from olmes.tools.durable_files import as_umask_says
from olmes.types import JsonObject

if TYPE_CHECKING:
    import numpy
    from gguf import GGUFReader

BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Parts of a block: name in GGUF, name in transformers."""
OUTER = {"token_embd": "embed_tokens", "output_norm": "norm"}
SPECIAL = 3
"""GGUF's token type of control tokens."""

GGUFMetadata = TypedDict(
    "GGUFMetadata",
    {
        "llama.attention.head_count": int,
        "llama.attention.head_count_kv": int,
        "llama.attention.layer_norm_rms_epsilon": float,
        "llama.block_count": int,
        "llama.context_length": int,
        "llama.embedding_length": int,
        "llama.feed_forward_length": int,
        "llama.rope.dimension_count": int,
        "llama.rope.freq_base": float,
        "llama.vocab_size": int,
        "tokenizer.chat_template": str,
        "tokenizer.ggml.bos_token_id": int,
        "tokenizer.ggml.eos_token_id": int,
        "tokenizer.ggml.merges": list[str],
        "tokenizer.ggml.padding_token_id": int,
        "tokenizer.ggml.pre": str,
        "tokenizer.ggml.token_type": list[int],
        "tokenizer.ggml.tokens": list[str],
        "tokenizer.ggml.unknown_token_id": int,
    },
)
"""The entries of a GGUF file's header that are read here."""


def convert(file: Path, folder: Path) -> None:
    """Write weights (float32), configuration and tokenizer of `file` into `folder`."""
    from gguf import GGUFReader
    from safetensors.numpy import save_file

    reader = GGUFReader(file)
    metadata = cast(
        GGUFMetadata,
        {
            name: field.contents()
            for name, field in reader.fields.items()
            if not name.startswith("GGUF.")
        },
    )
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.safetensors"
    save_file(tensors(reader, metadata), weights, metadata={"format": "pt"})
    as_umask_says(weights)  # safetensors writes for the owner alone; a cache may be shared
    for name, content in (
        ("config.json", config(metadata)),
        ("generation_config.json", {"eos_token_id": metadata["tokenizer.ggml.eos_token_id"]}),
        ("tokenizer.json", tokenizer(metadata)),
        ("tokenizer_config.json", tokenizer_config(metadata)),
    ):
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (folder / name).write_text(text + "\n", "utf-8")
    (folder / "chat_template.jinja").write_text(metadata["tokenizer.chat_template"], "utf-8")


def tensors(reader: GGUFReader, metadata: GGUFMetadata) -> dict[str, numpy.ndarray]:
    """Every tensor by its name in transformers, dequantized to float32.

    The output projection is the embedding's transpose (tied), so it is not in the file.
    """
    import numpy
    from gguf.quants import dequantize

    heads = {
        "attn_q": metadata["llama.attention.head_count"],
        "attn_k": metadata["llama.attention.head_count_kv"],
    }
    found = {}
    for tensor in reader.tensors:
        weight = dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        part = tensor.name.removesuffix(".weight")
        if part in OUTER:
            name = OUTER[part]
        else:
            _, number, part = part.split(".")
            name = f"layers.{number}.{BLOCK[part]}"
        if part in heads:
            weight = interleaved_to_halves(weight, heads[part])
        found[f"model.{name}.weight"] = numpy.ascontiguousarray(weight)
    return found


def interleaved_to_halves(weight: numpy.ndarray, heads: int) -> numpy.ndarray:
    """Query or key projection `[heads * size, hidden]` with its rows in transformers' order.

    Rotary embedding turns pairs of rows of a head. llama.cpp stores a pair side by side,
    transformers keeps first members in the first half of the head and second ones in the other.
    """
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def config(metadata: GGUFMetadata) -> JsonObject:
    """`config.json`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "dtype": "float32",
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "head_dim": metadata["llama.rope.dimension_count"],
        "hidden_act": "silu",
        "hidden_size": metadata["llama.embedding_length"],
        "intermediate_size": metadata["llama.feed_forward_length"],
        "max_position_embeddings": metadata["llama.context_length"],
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": metadata["llama.attention.head_count"],
        "num_hidden_layers": metadata["llama.block_count"],
        "num_key_value_heads": metadata["llama.attention.head_count_kv"],
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
        # The file holds a 32-bit 1e-5, which reads as 9.999999747378752e-06.
        "rms_norm_eps": float(f"{metadata['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_parameters": {"rope_theta": metadata["llama.rope.freq_base"], "rope_type": "default"},
        "tie_word_embeddings": True,
        "vocab_size": metadata["llama.vocab_size"],
    }


def tokenizer(metadata: GGUFMetadata) -> JsonObject:
    """`tokenizer.json`: byte-level BPE that takes every digit by itself.

    The GGUF names its splitting rule only (`tokenizer.ggml.pre = smollm`): digits are split off
    before GPT-2's rule is applied. Without that step the white space before a digit is tokenized
    otherwise than in training.
    """
    if metadata["tokenizer.ggml.pre"] != "smollm":
        raise ValueError(f"unknown splitting rule {metadata['tokenizer.ggml.pre']}")
    tokens = metadata["tokenizer.ggml.tokens"]
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token, **flags, "special": True}
            for number, (token, kind) in enumerate(
                zip(tokens, metadata["tokenizer.ggml.token_type"], strict=True)
            )
            if kind == SPECIAL
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]],
        },
    }


def tokenizer_config(metadata: GGUFMetadata) -> JsonObject:
    """`tokenizer_config.json`."""
    tokens = metadata["tokenizer.ggml.tokens"]
    return {
        # The class that takes tokenizer.json as it is; GPT-2's own would set its splitting rule.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[metadata["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[metadata["tokenizer.ggml.eos_token_id"]],
        "unk_token": tokens[metadata["tokenizer.ggml.unknown_token_id"]],
        "pad_token": tokens[metadata["tokenizer.ggml.padding_token_id"]],
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": metadata["llama.context_length"],
    }
