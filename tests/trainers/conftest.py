"""A model small enough to be taught something in seconds: a Llama that reads single characters."""

from __future__ import annotations

import string
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.launching import Launcher

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% if not loop.last %}{{ '\\n' }}{% endif %}"
    "{% else %}{{ '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SPECIALS = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
ADDITION = Path(__file__).parent / "files/addition_task.py"


def build_char_tokenizer(template: str | None = TEMPLATE) -> Any:
    """One token a printable ASCII character, and the marks of turns: 105 tokens.

    Ends of turns are `<|end|>`, padding is a token of its own.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = list(dict.fromkeys(string.printable))
    vocabulary = {token: number for number, token in enumerate([*SPECIALS, *letters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        extra_special_tokens=list(SPECIALS[2:]),
        clean_up_tokenization_spaces=False,
    )
    fast.model_max_length = 512
    fast.chat_template = template
    return fast


def build_tiny(
    folder: Path, *, seed: int = 0, template: str | None = TEMPLATE, **config: Any
) -> Path:
    """Save a random character-level Llama (about 0.4 M parameters) as a checkpoint folder."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = build_char_tokenizer(template)
    tokenizer.save_pretrained(folder)
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 512,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        **config,
    }
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**settings))
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    return folder


def teach(
    folder: Path,
    out: Path,
    chats: list[tuple[str, str]],
    *,
    steps: int,
    seed: int = 0,
    batch: int = 64,
    learning_rate: float = 3e-3,
    until: float = 1.0,
) -> Path:
    """Plain supervised training of a tiny checkpoint on (user, assistant) pairs, saved to `out`.

    Nothing of the trainers under test is used: a warm start for tests of later stages. It ends
    after `steps`, or when the share of the last 512 answers that were right before they were
    learned from reaches `until`.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    rows = [encode_pair(tokenizer, *chat) for chat in chats]
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    right: list[bool] = []
    for _ in range(steps):
        chosen = [rows[i] for i in torch.randint(len(rows), (batch,), generator=order).tolist()]
        width = max(len(ids) for ids, _ in chosen)
        ids = torch.tensor([i + [tokenizer.pad_token_id] * (width - len(i)) for i, _ in chosen])
        labels = torch.tensor([k + [-100] * (width - len(k)) for _, k in chosen])
        # Padding stands on the right, where a causal model's other tokens cannot see it.
        outputs = model(input_ids=ids, labels=labels)
        outputs.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        guessed = outputs.logits[:, :-1].argmax(-1)
        right += ((guessed == labels[:, 1:]) | (labels[:, 1:] == -100)).all(1).tolist()
        if len(right) >= 512 and sum(right[-512:]) >= until * 512:
            break
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def encode_pair(tokenizer: Any, question: str, answer: str) -> tuple[list[int], list[int]]:
    """Token ids of a chat, and its labels: -100 outside the answer and its end."""
    asked = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    before = tokenizer(prompt, add_special_tokens=False).input_ids
    after = [*tokenizer(answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    return before + after, [-100] * len(before) + after


@pytest.fixture(scope="session")
def addition_file() -> Path:
    """The task file of two-digit addition; its module also has `training_docs()`."""
    return ADDITION


@pytest.fixture(scope="session")
def char_tokenizer() -> Any:
    """The tokenizer of the tiny model; not to be changed."""
    return build_char_tokenizer()


@pytest.fixture(scope="session")
def tiny_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint of the tiny model; not to be changed."""
    return build_tiny(tmp_path_factory.mktemp("tiny-chat"))


@pytest.fixture
def build_chat() -> Callable[..., Path]:
    """`build_tiny`."""
    return build_tiny


@pytest.fixture(scope="session")
def warm_start(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`warm_start(seed=0)`: the tiny model taught two-digit addition until it is right half the time.

    Or for a number of `steps`. Made once a session for each pair of arguments, on the sums that are
    not items of the task: 20 seconds.
    """
    made: dict[tuple[int | None, int], Path] = {}

    def make(steps: int | None = None, seed: int = 0) -> Path:
        if (steps, seed) not in made:
            from olmes.benchmark.registry import module_from_file

            docs = module_from_file(ADDITION).training_docs()
            folder = tmp_path_factory.mktemp("addition")
            base = build_tiny(folder / "base", seed=seed)
            chats = [(doc["question"], doc["answer"]) for doc in docs]
            until = 0.5 if steps is None else 1.0
            warm = folder / "warm"
            made[steps, seed] = teach(base, warm, chats, steps=steps or 600, seed=seed, until=until)
        return made[steps, seed]

    return make


@dataclass(frozen=True)
class Workshop:
    """A folder with small data for the tiny model, and recipes on it."""

    folder: Path
    model: Path

    def write(self, name: str, rows: list[dict[str, Any]]) -> None:
        """A data file."""
        from olmes.tools import jsonl

        jsonl.write(self.folder / name, rows)

    def recipe(self, stage: Any, **table: Any) -> Any:
        """A recipe for the tiny model on `STAGE.jsonl`: 4 steps of 2 micro-batches of 4."""
        from olmes.tools.toml_tables import override
        from olmes.trainers.recipes.files import make_recipe

        small: dict[str, Any] = {
            "model": str(self.model),
            "template": "tulu",
            "max_length": 64,
            "seed": 3,
            "data": {f"{stage}.jsonl": {"fraction": 1.0}},
            "hardware": {"device": "cpu"},
        }
        step: dict[str, Any] = {
            "learning_rate": 1e-3,
            "batch_size": 8,
            "micro_batch_size": 4,
            "max_steps": 4,
        }
        step["warmup_ratio"] = 0.0
        if stage == "rlvr":
            small |= {"generations": 4, "max_prompt_length": 32, "max_completion_length": 6}
        step |= table.pop("optimization", {})
        whole = override({**small, "optimization": step, **table}, {})
        return make_recipe(stage, whole, str(self.folder / f"{stage}.toml"))

    def prepared(self, stage: Any, **table: Any) -> Any:
        """A stage ready for its trainer, in a folder of its own."""
        from olmes.trainers.stage import prepare

        recipe = self.recipe(stage, **table)
        out = Path(tempfile.mkdtemp(dir=self.folder))
        return prepare(recipe, out, say=lambda _: None)


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """`olmes` in one or several processes, without seconds of imports in each."""
    made = Launcher()
    yield made
    made.close()


@pytest.fixture
def workshop(tmp_path: Path, tiny_chat: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Data for all stages: two-digit sums, and answers that are longer or wrong."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    shop = Workshop(tmp_path, tiny_chat)
    sums = [(f"{a}+{a + 7}", str(2 * a + 7)) for a in range(10, 42)]
    shop.write("sft.jsonl", [{"messages": turns(*pair)} for pair in sums])
    shop.write(
        "dpo.jsonl",
        [{"prompt": q, "chosen": a, "rejected": f"not {a} but {q}"} for q, a in sums],
    )
    shop.write(
        "rlvr.jsonl",
        [
            {
                "messages": turns(q, a),
                "verifiers": [{"task": str(ADDITION), "doc": {"question": q, "answer": a}}],
            }
            for q, a in sums
        ],
    )
    return shop


def turns(question: str, answer: str) -> list[dict[str, str]]:
    """A chat of two turns."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
