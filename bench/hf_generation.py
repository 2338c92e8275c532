"""Few-shot generation: lm-eval's `hf` model and plain `model.generate` against ours.

Same prompts, stops, precision and threads. `python -m bench.hf_generation --items 64 --tokens 256`
asks GSM8K (8-shot) and takes half an hour on two cores; `--items 12 --tokens 64` takes minutes;
`--task math` asks MATH (4-shot); `--plain` adds transformers' own `generate`, one prompt at a time.
Every answer runs to the token limit or to its end; what both give is compared. lm-eval's batch size
`auto` begins by trying 64 rows of the model's whole window, whose logits alone are 100 GB for the
embedded model: ask for it (`--batches 8,auto`) where that fits. Without the benchmark's files in
`../shared/data` (or `--data`) its built-in sample is asked.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from bench.files import lm_eval_model
from bench.files.lm_eval_model import conditions, timed
from olmes import Request, Response
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.models.checkpoint.smollm2 import EmbeddedCheckpoint
from olmes.models.hf.generation_rows import cut_at_stop
from olmes.models.hf.model import HFModel
from olmes.requests.plan import make_plan

BESIDE = Path(__file__).parents[2] / "shared/data"


def questions(name: str, data: Path, items: int, tokens: int) -> list[Request]:
    """Some items' requests, spread over the sub-tasks, with the limit on new tokens set."""
    task = load_task(name)
    dataset = resolve(task, data if data.is_dir() else None, say=print)
    requests = [item.request for item in make_plan([task], {name: dataset}, limit=items).items]
    return [replace(r, generation=replace(r.generation, max_tokens=tokens)) for r in requests]


def one_by_one(model: HFModel, requests: list[Request]) -> list[str]:
    """What a user writes without a harness: `generate` for one prompt after the other."""
    import torch

    texts = []
    for request in requests:
        prompt = model.encode(request).token_ids
        with torch.inference_mode():
            ids = model.weights.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=request.generation.max_tokens,
                do_sample=False,
                eos_token_id=sorted(model.ends),
                pad_token_id=min(model.ends),
                stop_strings=list(request.generation.stop) or None,
                tokenizer=model.encoder.tokenizer,
            )[0].tolist()
        text = model.encoder.answer(prompt, ids[len(prompt) :])
        texts.append(cut_at_stop(text, request.generation.stop)[0])
    return texts


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="gsm8k")
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--batches", default="8", help="of lm-eval: 8,auto; empty for none")
    parser.add_argument("--plain", action="store_true", help="also generate() one by one")
    # `python -m bench` passes nothing: the size is one that ends within minutes.
    arguments = parser.parse_args(None if len(sys.argv) > 1 else ["--items", "8", "--tokens", "64"])
    requests = questions(arguments.task, arguments.data, arguments.items, arguments.tokens)

    ours = HFModel("smollm2", EmbeddedCheckpoint(), device="cpu")
    _ = ours.weights
    answers: dict[int, Response] = {}
    _, wall, cpu = timed(lambda: ours.generate(requests, answers.__setitem__))
    prompts = sum(answer.prompt_tokens for answer in answers.values())
    new = sum(answer.completion_tokens for answer in answers.values())
    print(f"{len(requests)} items, {prompts} prompt tokens, {new} new tokens; {conditions()}")
    print(f"{'':24} {'wall s':>8} {'cpu s':>8} {'ratio':>14}")
    print(f"{'olmes hf':24} {wall:8.1f} {cpu:8.1f}")

    def line(name: str, found: list[str], taken: tuple[float, float]) -> None:
        same = sum(text == answers[at].text for at, text in enumerate(found))
        print(
            f"{name:24} {taken[0]:8.1f} {taken[1]:8.1f} {taken[0] / wall:6.2f} "
            f"{taken[1] / cpu:5.2f} cpu; {same}/{len(found)} answers equal",
            flush=True,
        )

    if arguments.plain:
        found, their_wall, their_cpu = timed(lambda: one_by_one(ours, requests))
        line("generate, one by one", found, (their_wall, their_cpu))
    texts = [ours.encode(request).text for request in requests]
    ours.close()
    generation = requests[0].generation
    settings = {
        "until": list(generation.stop),
        "max_gen_toks": generation.max_tokens,
        "do_sample": False,
    }
    for size in filter(None, arguments.batches.split(",")):
        theirs = lm_eval_model.load(size if size == "auto" else int(size))
        asked = lm_eval_model.ask("generate_until", [(text, settings) for text in texts])
        found, their_wall, their_cpu = timed(
            lambda theirs=theirs, asked=asked: lm_eval_model.quietly(  # type: ignore[misc]
                lambda: theirs.generate_until(asked)
            )
        )
        line(f"lm-eval hf, batch {size}", found, (their_wall, their_cpu))


if __name__ == "__main__":
    main()
