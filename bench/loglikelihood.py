"""Multiple choice: four continuations after a five-shot prefix, lm-eval and ours.

`python -m bench.loglikelihood` scores `--items` questions (default 16) on two cores. The prompts
are made from the built-in GSM8K sample: worked examples as shots, and as continuations the worked
answers of four items, cut to eight words. With `--mmlu DIR` they are MMLU's (`mmlu_mc`), as a run with
`--limit` of the data in DIR draws them; lm-eval is given the rendered chats. With few `--subjects`
they share exemplars as all 14,042 do, which have 246 questions a subject.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.files import lm_eval_model
from bench.files.lm_eval_model import conditions, timed
from olmes import Generation, Request, Response
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.models.checkpoint.smollm2 import EmbeddedCheckpoint
from olmes.requests.plan import draw_instances
from olmes.tools import jsonl

SAMPLE = Path(__file__).parents[1] / "tasks/demo/gsm8k.jsonl"
SHOTS = 5
WORDS = 8


def multiple_choice(items: int) -> list[Request]:
    """The requests: one shared prefix, a question each, four continuations each."""
    docs = list(jsonl.read(SAMPLE))
    shots = "".join(f"Question: {d['question']}\nAnswer: {d['answer']}\n\n" for d in docs[:SHOTS])
    rest = docs[SHOTS:]
    requests = []
    for at in range(items):
        near = [rest[(at + step) % len(rest)] for step in range(4)]
        choices = tuple(" " + " ".join(doc["answer"].split()[:WORDS]) for doc in near)
        question = f"{shots}Item {at}. Question: {near[0]['question']}\nAnswer:"
        requests.append(
            Request(generation=Generation(max_tokens=1), prompt=question, continuations=choices)
        )
    return requests


def mmlu(items: int, data: Path, subjects: int) -> list[Request]:
    """The requests of a run of `mmlu_mc` with a limit, from its first subjects."""
    task = load_task("mmlu_mc")
    instances = resolve(task, data, say=print).instances
    among = list(dict.fromkeys(one.subtask for one in instances))[:subjects]
    drawn = draw_instances([one for one in instances if one.subtask in among], items)
    return [task.request(instance.doc) for instance in drawn]


def main() -> None:
    """Print seconds, ratios and the largest difference."""
    from olmes.models.hf.model import HFModel

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--batches", default="8", help="of lm-eval: 8,auto; empty for ours alone")
    parser.add_argument("--mmlu", type=Path, metavar="DIR", help="MMLU's questions, read from DIR")
    parser.add_argument(
        "--subjects", type=int, default=57, help="of MMLU: how many, from the first"
    )
    arguments = parser.parse_args(None if len(sys.argv) > 1 else [])
    if arguments.mmlu:
        requests = mmlu(arguments.items, arguments.mmlu, arguments.subjects)
    else:
        requests = multiple_choice(arguments.items)
    ours = HFModel("smollm2", EmbeddedCheckpoint(), device="cpu")
    _ = ours.weights
    scored: dict[int, Response] = {}
    _, wall, cpu = timed(lambda: ours.loglikelihood(requests, scored.__setitem__))
    context = sum(answer.prompt_tokens for answer in scored.values()) / len(scored)
    asked_tokens = sum(answer.completion_tokens for answer in scored.values())
    print(
        f"{len(requests)} items, {context:.0f} tokens of context, "
        f"{asked_tokens / len(requests) / 4:.1f} a continuation; {conditions()}"
    )
    print(f"{'':24} {'wall s':>8} {'cpu s':>8} {'ratio':>14}")
    print(f"{'olmes hf':24} {wall:8.1f} {cpu:8.1f}")
    pairs = [(ours.encoder.render(r), choice) for r in requests for choice in r.continuations]
    ours.close()
    for size in filter(None, arguments.batches.split(",")):
        theirs = lm_eval_model.load(size if size == "auto" else int(size))
        asked = lm_eval_model.ask("loglikelihood", pairs)
        found, their_wall, their_cpu = timed(
            lambda theirs=theirs, asked=asked: lm_eval_model.quietly(  # type: ignore[misc]
                lambda: theirs.loglikelihood(asked)
            )
        )
        mine = [value for at in range(len(requests)) for value in scored[at].logprobs]
        gap = max(abs(a - b[0]) for a, b in zip(mine, found, strict=True))
        print(
            f"{f'lm-eval hf, batch {size}':24} {their_wall:8.1f} {their_cpu:8.1f} "
            f"{their_wall / wall:6.2f} {their_cpu / cpu:5.2f} cpu; largest difference {gap:.1e}"
        )


if __name__ == "__main__":
    main()
