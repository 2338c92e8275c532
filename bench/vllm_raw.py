"""Our vLLM backend against raw `LLM.generate` on the same requests, in one engine.

`python -m bench.vllm_raw` in an environment with vLLM (`make test-vllm` makes `.venv-vllm`). Raw is
what a user would write: rendered prompts in, one call, texts out. The two take turns; before each
turn the prefix cache is emptied. The second table scores four continuations a prompt, by way of the
prefix cache and as vLLM does by itself (without it).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from olmes import Request, Response
from olmes.models import vllm as backend
from olmes.models.spec import load_model


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall seconds, and processor seconds of this process and of the engine's."""
    import psutil

    def processor() -> float:
        own = psutil.Process()
        times = [one.cpu_times() for one in (own, *own.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))

    start, before = time.perf_counter(), processor()
    work()
    return time.perf_counter() - start, processor() - before


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(None if len(sys.argv) > 1 else [])
    if importlib.util.find_spec("vllm") is None:
        print("skipped: vLLM is not installed here; make test-vllm makes an environment for it")
        return
    from vllm import SamplingParams

    model = load_model("vllm:smollm2", dtype="float32", max_length=2048)
    assert isinstance(model, backend.VLLMModel)
    requests = generations(arguments.items, arguments.tokens)
    texts = [model.encode(request).text for request in requests]
    answers: dict[int, Response] = {}

    def raw() -> Any:
        settings = SamplingParams(
            temperature=0.0,
            max_tokens=arguments.tokens,
            stop=list(requests[0].generation.stop),
            stop_token_ids=sorted(model.ends),
        )
        return model.llm.generate(texts, settings, use_tqdm=False)

    ways = {"olmes": lambda: model.generate(requests, answers.__setitem__), "raw": raw}
    print(f"{arguments.items} prompts, {arguments.tokens} new tokens, vLLM {model.version}")
    table(model, ways, arguments.rounds)
    choices = multiple_choice(arguments.items // 2)
    cached = backend.logprob_params
    scored: dict[int, Response] = {}

    def without_cache() -> None:
        backend.logprob_params = lambda **_: cached(cached=False)
        try:
            model.loglikelihood(choices, scored.__setitem__)
        finally:
            backend.logprob_params = cached

    both = {
        "olmes": lambda: model.loglikelihood(choices, scored.__setitem__),
        "prefix cache unread": without_cache,
    }
    print(f"\n{len(choices)} prompts, four continuations each")
    table(model, both, arguments.rounds)
    model.close()


def generations(items: int, tokens: int) -> list[Request]:
    """Requests for generation: the built-in GSM8K sample behind eight shots."""
    from bench.hf_generation import questions

    return questions("gsm8k", Path(os.devnull), items, tokens)


def multiple_choice(items: int) -> list[Request]:
    """Requests to be scored."""
    from bench.loglikelihood import multiple_choice as made

    return made(items)


def table(model: Any, ways: dict[str, Callable[[], Any]], rounds: int) -> None:
    """Median seconds of each way, taking turns, and the ratio of the first to the others."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for attempt in range(rounds + 1):
        for name in list(ways) if attempt % 2 else list(ways)[::-1]:
            model.llm.reset_prefix_cache()
            taken = timed(ways[name])
            if attempt:  # the first round warms up
                times[name].append(taken)
    middles = {
        name: [statistics.median(column) for column in zip(*taken, strict=True)]
        for name, taken in times.items()
    }
    ours = middles[next(iter(ways))]
    print(f"{'':24} {'wall s':>8} {'cpu s':>8}   olmes over it: wall, cpu")
    for name, (wall, cpu) in middles.items():
        print(f"{name:24} {wall:8.2f} {cpu:8.2f}   {ours[0] / wall:.3f} {ours[1] / cpu:.3f}")
    print(f"load average {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
