"""Small models of as many architectures as there are: our tokens and log-probabilities, row by row.

`python -m bench.architectures` asks each variant of `bench.files.architectures` nine prompts at once
(four with a shared beginning of 240 tokens, lengths of 3 to 400, two alike): 24 greedy tokens and
three continuations each, against `model.generate` and a full forward pass of one row at a time.
`--only NAME` for some of them; `python -m bench` asks every tenth.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.files.architectures import POSITIONS, SWITCH, WORDS, save, tokenizer, variants
from olmes import Generation, Request, Response

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from olmes.models.hf.model import HFModel

TOKENS = 24
TIE = 1e-3
"""Logits nearer than this are as good as equal: either token is right."""
NEAR = 2e-3
"""Largest difference of a log-probability, a token."""
CONTINUATIONS = (" w7", " w11 w12 w13 w14 w15", " w7 w8 w9")


@dataclass(frozen=True)
class Finding:
    """What one variant gave."""

    way: str
    """How its rows run: with shared prefixes, padded, in equal lengths, one at a time."""
    prompts: int
    wrong: int
    """Prompts with another token, or a log-probability further off than `NEAR` a token."""
    gap: float
    """The largest difference of a continuation's log-probability."""
    trial_s: float
    """What finding out how rows may run took."""


def prompts() -> list[str]:
    """Nine prompts: a shared beginning, a mix of lengths, one pair alike."""

    def line(seed: int, length: int) -> list[int]:
        found = [seed]
        while len(found) < length:
            found.append((31 * found[-1] + 17 * len(found) + seed) % (WORDS - 4))
        return [2 + one for one in found]

    shared = line(5, 240)
    rows = [shared + line(20 + at, length) for at, length in enumerate((3, 9, 30, 160))]
    # Two that begin below the switch of length-dependent embeddings and pass it.
    rows += [line(50, 3), line(51, SWITCH - 10), line(52, 17), line(53, SWITCH - 9)]
    rows.append(list(rows[4]))
    return [" ".join(f"w{one}" for one in row) for row in rows]


def forget(model: PreTrainedModel) -> None:
    """Bring a rotary embedding that grew with an earlier row back to its beginning."""
    import torch

    with torch.inference_mode():
        model(input_ids=torch.tensor([[5]]), use_cache=False)


def continued(model: PreTrainedModel, prompt: list[int], ends: frozenset[int]) -> list[int]:
    """The tokens that transformers' own `generate` gives a prompt by itself."""
    import torch

    forget(model)
    with torch.inference_mode():
        ids = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=TOKENS,
            do_sample=False,
            eos_token_id=sorted(ends),
            pad_token_id=1,
        )
    return [int(one) for one in ids[0, len(prompt) :]]


def logits_of(model: PreTrainedModel, ids: list[int]) -> Any:
    """A full forward pass of one row."""
    import torch

    forget(model)
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double()


def tied(model: PreTrainedModel, prompt: list[int], ours: list[int], theirs: list[int]) -> bool:
    """Whether two answers are the same up to a place where two tokens are as likely."""
    at = next(
        (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
        min(len(ours), len(theirs)),
    )
    if at == len(ours) == len(theirs):
        return True
    if at >= min(len(ours), len(theirs)):
        return False
    last = logits_of(model, prompt + theirs[:at])[-1]
    return abs(float(last[ours[at]] - last[theirs[at]])) < TIE


def way_of(model: HFModel) -> str:
    """How a model's rows run."""
    return "shared" if model.shares_prefixes else model.row_batches.together.value


def measure(model: HFModel, texts: list[str]) -> Finding:
    """Ask all prompts at once, and each by itself."""
    weights = model.weights
    began = time.perf_counter()
    way = way_of(model)
    taken = time.perf_counter() - began
    said: dict[int, Response] = {}
    asked = [Request(generation=Generation(max_tokens=TOKENS), prompt=text) for text in texts]
    model.generate(asked, said.__setitem__)
    weighed: dict[int, Response] = {}
    model.loglikelihood(
        [
            Request(generation=Generation(max_tokens=1), prompt=text, continuations=CONTINUATIONS)
            for text in texts
        ],
        weighed.__setitem__,
    )
    wrong, gap = 0, 0.0
    for at, text in enumerate(texts):
        prompt = list(model.encoder.tokens(text))[said[at].prompt_truncated :]
        expected = continued(weights, prompt, model.ends)
        ours = list(model.encoder.tokens(said[at].text))
        theirs = [one for one in expected if one not in model.ends]
        right = tied(weights, prompt, ours, theirs)
        for choice, found in zip(CONTINUATIONS, weighed[at].logprobs, strict=True):
            whole = list(model.encoder.tokens(text + choice))
            length = len(choice.split())
            whole = whole[max(0, len(whole) - 1 - (model.window or len(whole))) :]
            logs = logits_of(weights, whole[:-1]).log_softmax(-1)
            exact = sum(
                float(logs[i - 1, whole[i]]) for i in range(len(whole) - length, len(whole))
            )
            gap = max(gap, abs(exact - found))
            right = right and abs(exact - found) <= NEAR * length
        wrong += not right
    return Finding(way, len(texts), wrong, gap, taken)


def load(folder: Path, **options: Any) -> HFModel:
    """The model of a folder, as a run has it."""
    from olmes.models.checkpoint.folder import LocalCheckpoint
    from olmes.models.hf.encoding import Encoder
    from olmes.models.hf.model import HFModel

    model = HFModel(folder.name, LocalCheckpoint(folder), device="cpu", **options)
    # transformers would load these words by the class of the architecture's own tokenizer.
    vars(model)["encoder"] = Encoder(model.name, tokenizer())
    return model


def sweep(
    names: list[str], texts: list[str] | None = None, **options: Any
) -> Iterator[tuple[str, Finding]]:
    """Each variant and what it gave."""
    table = variants()
    texts = texts or prompts()
    for name in names:
        kind, extra = table[name]
        with tempfile.TemporaryDirectory() as folder:
            yield name, measure(load(save(Path(folder), kind, extra), **options), texts)


def main() -> None:
    """Print a line a variant, and how many run in which way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="a variant's name; repeatable")
    parser.add_argument("--batch-size", type=int)
    arguments = parser.parse_args(None if len(sys.argv) > 1 else [])
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    names = arguments.only or list(variants())
    if len(sys.argv) == 1:
        names = names[::10]
    print(f"longest prompt and answer {400 + TOKENS} of {POSITIONS} positions")
    print(f"{'variant':28} {'way':>8} {'wrong':>6} {'largest gap':>12} {'trial ms':>9}")
    ways: Counter[str] = Counter()
    wrong = 0
    for name, one in sweep(names, batch_size=arguments.batch_size):
        ways[one.way] += 1
        wrong += one.wrong > 0
        print(
            f"{name:28} {one.way:>8} {one.wrong:3}/{one.prompts} {one.gap:12.1e} "
            f"{1000 * one.trial_s:9.0f}",
            flush=True,
        )
    print(f"{len(names)} variants, {wrong} of them wrong; {dict(ways)}")


if __name__ == "__main__":
    main()
