"""Small models of random weights: as many architectures as transformers can build, and their kin.

A variant is an architecture with a few settings: as it is, with a window or chunk shorter than the
prompts, with a rotary embedding that depends on length. Weights are scaled so that attention matters:
with the usual 0.02 every wrong mask gives nearly the same logits.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

WORDS = 300
POSITIONS = 1024
SWITCH = 96
"""The length at which rotary embeddings change in the variants with such ones."""
WINDOW = 32
LARGEST = 4_000_000
"""Weights; a default that no setting here makes small is left out."""
WINDOWS = re.compile(r"window|chunk|floor_scale|index_topk")
"""Settings that change attention from some length on."""

SMALL: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
WHERE_KNOWN: dict[str, Any] = {
    "head_dim": 8,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "index_n_heads": 4,
    "index_head_dim": 16,
    "rotary_dim": 8,
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_num_heads": 8,
    "mamba_head_dim": 8,
    "mamba_d_state": 8,
    "state_size": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
"""Set where a configuration has a setting of that name."""
YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 128}
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
LONG = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.1, 1.3, 1.5],
    "long_factor": [1.0, 4.0, 16.0, 64.0],
    "original_max_position_embeddings": SWITCH,
}


def rope(of: dict[str, Any]) -> dict[str, Any]:
    """The settings of a rotary embedding."""
    return {"rope_parameters": {"rope_theta": 10000.0, **of}}


SWITCHED = {"original_max_position_embeddings": SWITCH, "sliding_window": None}
PLAIN = (
    "afmoe apertus arcee axk1 axk2 biogpt bitnet cohere cohere2 cohere2_moe codegen ctrl "
    "deepseek_v2 deepseek_v3 deepseek_v32 diffllama doge dory ernie4_5 ernie4_5_moe exaone4 "
    "exaone_moe falcon falcon_h1 falcon_mamba flex_olmo flint gemma gemma2 gemma3_text "
    "gemma4_text glm glm4 glm4_moe glm4_moe_lite glm_moe_dsa gpt2 gpt_bigcode gpt_neox "
    "gpt_neox_japanese gpt_oss gptj granite granite_swa granitemoe granitemoe_swa "
    "granitemoeshared helium hunyuan_v1_dense hunyuan_v1_moe hy_v3 iquestcoder jais2 jamba "
    "jetmoe laguna lfm2 lfm3 llama llama4_text longcat_flash mamba mellum mimo_v2_flash "
    "minicpm3 minimax minimax_m2 ministral ministral3 mistral mixtral mpt nanochat nemotron "
    "nemotron_h olmo olmo2 olmo3 olmo_hybrid olmoe opt openai-gpt persimmon phi phi3 phimoe "
    "qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next qwen3_5_text qwen3_5_moe_text recurrent_gemma "
    "rwkv sarvam_mla sarvam_moe seed_oss smollm3 solar_open stablelm starcoder2 vaultgemma "
    "xglm youtu zaya bloom "
)
WINDOWED = (
    "afmoe cohere2 cohere2_moe deepseek_v32 exaone4 exaone_moe gemma2 gemma3_text "
    "gemma4_text glm_moe_dsa gpt_oss granite_swa granitemoe_swa iquestcoder laguna "
    "llama4_text mellum mimo_v2_flash minimax ministral ministral3 mistral mixtral olmo3 phi3 "
    "phimoe qwen2 qwen2_moe qwen3 qwen3_moe smollm3 starcoder2 vaultgemma "
)
OWN: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1, 3], "mamba_chunk_size": 16},
    "codegen": {"rotary_dim": 8},
    "gemma4_text": {"vocab_size_per_layer_input": 320, "hidden_size_per_layer_input": 8},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gpt_neo": {"num_layers": 4, "attention_types": [[["global", "local"], 2]], "window_size": 32},
    "gptj": {"rotary_dim": 8},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2},
    "helium": {"head_dim": 8},
    "hunyuan_v1_dense": {"head_dim": 8},
    "llama4_text": {
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "intermediate_size_mlp": 48,
        "no_rope_layers": [1, 0, 1, 0],
    },
    "longcat_flash": {"num_layers": 2, "expert_ffn_hidden_size": 16, "ffn_hidden_size": 48},
    "mamba2": {"num_heads": 8, "head_dim": 8, "chunk_size": 16, "n_groups": 1},
    "modernbert-decoder": {"local_attention": 32, "global_attn_every_n_layers": 2},
    "mpt": {"max_seq_len": POSITIONS},
    "qwen2_moe": {"decoder_sparse_step": 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "lfm3": {"layer_types": ["conv", "full_attention"] * 2},
    "qwen3_5_text": {"layer_types": ["linear_attention", "full_attention"] * 2},
    "qwen3_5_moe_text": {"layer_types": ["linear_attention", "full_attention"] * 2},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"] * 2},
    "zaya": {"num_experts_per_tok": 1},
}
KIN: dict[str, tuple[str, dict[str, Any]]] = {
    "llama tied": ("llama", {"tie_word_embeddings": True}),
    "llama yarn": ("llama", rope(YARN)),
    "llama llama3": ("llama", rope(LLAMA3)),
    "llama dynamic": ("llama", {**rope(DYNAMIC), "max_position_embeddings": SWITCH}),
    "llama longrope": ("llama", rope(LONG)),
    "qwen2 dynamic": ("qwen2", {**rope(DYNAMIC), "max_position_embeddings": SWITCH}),
    "phi3 longrope": ("phi3", {**rope(LONG), **SWITCHED}),
    "phimoe longrope": (
        "phimoe",
        {**rope({**LONG, "short_mscale": 1.1, "long_mscale": 1.3}), **SWITCHED},
    ),
    "llama4_text tuned": ("llama4_text", {"attention_chunk_size": POSITIONS, "floor_scale": 32}),
    "falcon alibi": ("falcon", {"alibi": True}),
    "gemma2 without caps": (
        "gemma2",
        {"attn_logit_softcapping": None, "final_logit_softcapping": None},
    ),
}


def variants() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every variant by name: an architecture and its settings."""
    found: dict[str, tuple[str, dict[str, Any]]]
    found = {kind: (kind, {}) for kind in sorted({*PLAIN.split(), *OWN})}
    found |= {f"{kind} window": (kind, {"windows": WINDOW}) for kind in WINDOWED.split()}
    return found | KIN


def configuration(kind: str, extra: dict[str, Any]) -> PretrainedConfig:
    """A small configuration of an architecture; `windows` in `extra` sets every window it has."""
    from transformers import AutoConfig

    known = vars(AutoConfig.for_model(kind))
    settings = {**SMALL, **{key: value for key, value in WHERE_KNOWN.items() if key in known}}
    if "kv_lora_rank" in known:  # latent attention has as many key heads as query heads
        settings["num_key_value_heads"] = settings["num_attention_heads"]
    settings |= OWN.get(kind, {}) | extra
    window = settings.pop("windows", None)
    if window is not None:
        named = {key for key in known if WINDOWS.search(key) and not key.startswith(("use", "max"))}
        settings |= dict.fromkeys(named, window)
        if "use_sliding_window" in known:
            settings |= {"use_sliding_window": True, "max_window_layers": 2}
    return AutoConfig.for_model(kind, **settings)


def build(kind: str, extra: dict[str, Any]) -> PreTrainedModel:
    """A model of random weights, the same ones every time.

    Raises:
        ValueError: it would have more than `LARGEST` weights.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = configuration(kind, extra)
    with torch.device("meta"):
        size = sum(one.numel() for one in AutoModelForCausalLM.from_config(config).parameters())
    if size > LARGEST:
        raise ValueError(f"{size} weights")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    seed = int.from_bytes(hashlib.sha256(kind.encode()).digest()[:4], "big")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Vectors are norms, biases and decays, whose values have a meaning.
            if weight.ndim >= 2 and "A_log" not in name and min(weight.shape) > 1:
                gain = 1.0 if weight.shape[0] == config.vocab_size else 1.5
                fan = 1 if "embed" in name or "wte" in name else weight.shape[-1]
                weight.normal_(0.0, gain / fan**0.5, generator=generator)
    return model


def tokenizer() -> PreTrainedTokenizerBase:
    """A tokenizer of words "w0" to "w299", so that texts and tokens are the same thing."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<bos>", "<eos>", *(f"w{number}" for number in range(2, 320))]
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, "<eos>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>", pad_token="<eos>")


def save(folder: Path, kind: str, extra: dict[str, Any]) -> Path:
    """A checkpoint's folder."""
    build(kind, extra).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
