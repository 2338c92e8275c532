"""How long supervised data of the real size take until the first update, and in how much memory.

`python -m bench.training_data --rows 939343` makes up chats in the shape of tulu-3-sft-mixture (939,343
rows, 2.9 GB; some of several turns, some long, all in English), and lets `olmes train sft` begin a
training on them with a tiny model that has the embedded model's tokenizer of 49,152 tokens. Then it
takes the last state away and lets the same command resume. The largest resident memory of every
process is noted, those that prepare the data among them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from bench.files.lm_eval_model import conditions

BYTES = 2.9e9 / 939_343
"""Of a row, on average."""
RECIPE = """
model = "model"
template = "tulu"
max_length = {max_length}
packing = {packing}
[data]
"chats.jsonl" = {{ fraction = 1.0 }}
[optimization]
batch_size = 8
micro_batch_size = 1
max_steps = 2
[checkpoints]
every = 1
[hardware]
device = "cpu"
"""


def words() -> list[str]:
    """English as programmers write it: the help topics of Python, the pages of this repository."""
    from pydoc_data.topics import topics

    pages = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
    prose = [*topics.values(), *(page.read_text("utf-8") for page in pages)]
    return re.findall(r"\S+\s*", re.sub(r"[ \t]+", " ", "\n".join(prose)))


def chats(count: int) -> Iterator[dict[str, Any]]:
    """Rows: lengths are log-normal, one chat in seven has several turns, a word in fifty is new."""
    random, known = Random(0), words()

    def text(length: float) -> str:
        many = max(3, int(length / 6))
        start = random.randrange(len(known) - many) if many < len(known) else 0
        run = known[start : start + many]
        for at in range(random.randrange(50), len(run), 50):
            run[at] = f"{random.getrandbits(32):x} "
        return "".join(run)[: int(length)].strip() or "Yes."

    for number in range(count):
        turns = 1 if random.random() < 0.86 else random.randrange(2, 6)
        size = (BYTES - 160) * random.lognormvariate(-0.32, 0.8) / turns
        messages = []
        for _ in range(turns):
            asked = random.uniform(0.1, 0.4)
            messages += [
                {"role": "user", "content": text(size * asked)},
                {"role": "assistant", "content": text(size * (1 - asked))},
            ]
        yield {"id": f"made-up_{number}", "messages": messages, "source": "made-up/chats"}


def build_model(folder: Path) -> None:
    """A Llama of one narrow layer with the embedded model's tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from olmes.trainers.starting_model import load_tokenizer, model_folder

    tokenizer = load_tokenizer("smollm2", model_folder("smollm2"))
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


def last_update(log: Path, began: float) -> int:
    """The newest update in a log that was written since; 0 when there is none."""
    if not log.exists() or log.stat().st_mtime < began:
        return 0
    rows = log.read_text("utf-8").splitlines()
    return int(json.loads(rows[-1])["step"]) if rows else 0


def begin(folder: Path, last: int) -> dict[str, float]:
    """Run the training to its end.

    Returns:
        Seconds until the log has the update `last`, and memory in MiB.
    """
    import psutil

    log = folder / "trained/recipe/train_log.jsonl"
    began = time.time()
    command = [sys.executable, "-m", "olmes", "train", "sft", "recipe.toml"]
    env = {**os.environ, "OLMES_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = str(Path(__file__).parents[1])
    started = time.monotonic()
    training = subprocess.Popen(command, cwd=folder, env=env)
    largest: dict[int, float] = {}
    together = first = preparing = 0.0
    ready = folder / "cache/training-data/chats"
    whole = psutil.Process(training.pid)
    while training.poll() is None:
        now = 0.0
        try:
            for process in [whole, *whole.children(recursive=True)]:
                size = process.memory_info().rss / 2**20
                if process.pid == training.pid and not any(ready.glob("*/about.json")):
                    preparing = max(preparing, size)
                largest[process.pid] = max(size, largest.get(process.pid, 0.0))
                now += size
        except psutil.Error:
            continue
        together = max(together, now)
        if not first and last_update(log, began) == last:
            first = time.monotonic() - started
        time.sleep(0.2)
    assert not training.returncode, f"the training ended with {training.returncode}"
    others = [size for process, size in largest.items() if process != training.pid]
    return {
        "seconds to an update": round(first, 1),
        "seconds in all": round(time.monotonic() - started, 1),
        "MiB of the training process": round(largest[training.pid]),
        "MiB of it until the data were ready": round(preparing),
        "MiB of the largest process that prepared data": round(max(others, default=0)),
        "MiB of all together": round(together),
    }


def size_of(folder: Path) -> float:
    """GB of the files below a folder."""
    return round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e9, 2)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--packing", action="store_true")
    parser.add_argument("--max-length", type=int, default=4096)
    parser.add_argument(
        "--folder", type=Path, help="where the data are made; default: a temporary one"
    )
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder = Path(place)
        from olmes.tools import jsonl

        jsonl.write(folder / "chats.jsonl", chats(given.rows))
        build_model(folder / "model")
        recipe = RECIPE.format(packing=str(given.packing).lower(), max_length=given.max_length)
        (folder / "recipe.toml").write_text(recipe, "utf-8")
        size = size_of(folder)
        print(f"{given.rows:,} chats, {size} GB; {conditions()}", flush=True)
        print(json.dumps({"start": begin(folder, 1)}, indent=1), flush=True)
        print(f"in the cache: {size_of(folder / 'cache')} GB", flush=True)
        for name in ("final", "checkpoint-2"):
            shutil.rmtree(folder / "trained/recipe" / name)
        (folder / "trained/recipe/done.json").unlink()
        print(json.dumps({"resumed": begin(folder, 2)}, indent=1), flush=True)


if __name__ == "__main__":
    main()
