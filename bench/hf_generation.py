"""GSM8K 8-shot: lm-eval's `hf` model against ours, same prompts, stops, precision and threads.

`python -m bench.hf_generation` asks 64 items for 256 new tokens (an hour on two cores); `--items 12
--tokens 64` takes minutes. Every answer runs to the token limit or to its end; what both give is
compared. lm-eval's batch size `auto` begins by trying 64 rows of the model's whole window, whose
logits alone are 100 GB for the embedded model: ask for it (`--batches 8,auto`) where that fits.
Without GSM8K in `../shared/data` (or `--data`) the built-in sample is asked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.files import lm_eval_model
from bench.files.lm_eval_model import conditions, timed
from olmes import Request, Response, jsonl
from olmes.models.smollm2 import EmbeddedCheckpoint
from olmes.registry import load_task

BESIDE = Path(__file__).parents[2] / "shared/data"
SAMPLE = Path(__file__).parents[1] / "tasks/samples/gsm8k.jsonl"


def questions(data: Path, items: int, tokens: int) -> list[Request]:
    """The first items' requests, with the limit on new tokens set."""
    from dataclasses import replace

    official = data / "gsm8k/test.jsonl.gz"
    docs = list(jsonl.read(official if official.is_file() else SAMPLE))[:items]
    task = load_task("gsm8k")
    requests = [task.request(doc) for doc in docs]
    return [replace(r, generation=replace(r.generation, max_tokens=tokens)) for r in requests]


def main() -> None:
    """Print seconds and ratios."""
    from olmes.models.hf import HFModel

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--batches", default="8", help="of lm-eval: 8,auto; empty for ours alone")
    # `python -m bench` passes nothing: the size is one that ends within minutes.
    arguments = parser.parse_args(None if len(sys.argv) > 1 else ["--items", "8", "--tokens", "64"])
    requests = questions(arguments.data, arguments.items, arguments.tokens)

    ours = HFModel("smollm2", EmbeddedCheckpoint(), device="cpu")
    _ = ours.weights
    answers: dict[int, Response] = {}
    _, wall, cpu = timed(lambda: ours.generate(requests, answers.__setitem__))
    prompts = sum(answer.prompt_tokens for answer in answers.values())
    new = sum(answer.completion_tokens for answer in answers.values())
    print(f"{len(requests)} items, {prompts} prompt tokens, {new} new tokens; {conditions()}")
    print(f"{'':24} {'wall s':>8} {'cpu s':>8} {'ratio':>14}")
    print(f"{'olmes hf':24} {wall:8.1f} {cpu:8.1f}")
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
        same = sum(a == answers[at].text for at, a in enumerate(found))
        print(
            f"{f'lm-eval hf, batch {size}':24} {their_wall:8.1f} {their_cpu:8.1f} "
            f"{their_wall / wall:6.2f} {their_cpu / cpu:5.2f} cpu; {same}/{len(found)} answers equal"
        )


if __name__ == "__main__":
    main()
