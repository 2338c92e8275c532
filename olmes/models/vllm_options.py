"""What may follow a model's name for vLLM: `vllm:NAME?tensor_parallel_size=2&...`."""

from __future__ import annotations

from olmes.errors import OlmesError

Value = int | float | str | bool
OPTIONS: dict[str, type[Value]] = {
    "tensor_parallel_size": int,
    "pipeline_parallel_size": int,
    "gpu_memory_utilization": float,
    "max_model_len": int,
    "max_num_seqs": int,
    "max_num_batched_tokens": int,
    "quantization": str,
    "kv_cache_dtype": str,
    "load_format": str,
    "seed": int,
    "cpu_offload_gb": float,
    "swap_space": float,
    "enforce_eager": bool,
    "enable_expert_parallel": bool,
    "distributed_executor_backend": str,
}
"""Options of the engine, under its own names. What changes outputs is recorded with the rest."""
ELSEWHERE = {
    "data_parallel_size": "vLLM runs one copy of a model in a process: --workers N runs N of them",
    "dp": "vLLM runs one copy of a model in a process: --workers N runs N of them",
    "dtype": "give --dtype",
    "device": "give --device cuda:N",
    "max_length": "give --max-length",
    "batch_size": "give --batch-size",
    "trust_remote_code": "give --trust-remote-code",
    "enable_lora": "give --adapter MODEL",
    "lora_path": "give --adapter MODEL",
    "chat_template": "give --chat-template",
    "tp": "it is tensor_parallel_size",
}
"""What to write for options that have another place here."""


def parse_target(target: str) -> tuple[str, dict[str, Value]]:
    """The model's name and the engine's options in `NAME?key=value&key=value`.

    Raises:
        OlmesError: an option is unknown, has another place, or its value does not fit.
    """
    name, _, written = target.partition("?")
    options: dict[str, Value] = {}
    for part in filter(None, written.split("&")):
        key, _, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if key in ("data_parallel_size", "dp") and value == "1":
            continue
        if key in ELSEWHERE:
            raise OlmesError(f"'vllm:' has no option '{key}': {ELSEWHERE[key]}.")
        if key not in OPTIONS:
            raise OlmesError(
                f"'vllm:' has no option '{key}'; the options are {', '.join(OPTIONS)}."
            )
        options[key] = parse_value(key, value)
    return name, options


def parse_value(key: str, text: str) -> Value:
    """The value of an option.

    Raises:
        OlmesError: it does not fit.
    """
    kind = OPTIONS[key]
    if kind is bool:
        found = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
        if found is None:
            raise OlmesError(f"the option {key} is '{text}'; give true or false.")
        return found
    if kind is str:
        if not text:
            raise OlmesError(f"the option {key} is empty; give a value.")
        return text
    try:
        number = kind(text)
    except ValueError:
        raise OlmesError(f"the option {key} is '{text}'; give a number.") from None
    assert isinstance(number, (int, float))
    least = 0 if key in ("seed", "cpu_offload_gb", "swap_space") else 1
    if key == "gpu_memory_utilization":
        if not 0 < number <= 1:
            raise OlmesError(f"the option {key} is {text}; give a share above 0, at most 1.")
    elif number < least:
        raise OlmesError(f"the option {key} is {text}; give {least} or more.")
    return number
