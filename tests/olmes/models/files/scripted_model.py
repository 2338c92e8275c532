"""A real checkpoint that writes what it is told to: its weights are set so.

A GPT-2 of one layer whose attention and network add nothing: what comes next is told by the position
alone, so that thoughts, ends and limits fall on exactly the tokens a test wants.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olmes.types import Message
from tests.olmes.models.conftest import build_tokenizer

POSITIONS = 256
QUESTION: tuple[Message, ...] = ({"role": "user", "content": "What is it?"},)
CHAT = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
THINKS = (
    CHAT + "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}"
)
"""As Qwen3's: whether it thinks is left to the model, unless it is told not to."""
BEGINS_INSIDE = CHAT + "{{ '<|im_start|>assistant\n<think>\n' }}"
"""As DeepSeek R1's."""
CHANNELS = (
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "<|start|>assistant{% if false %}<|channel|>analysis<|message|>{% endif %}"
)
"""As gpt-oss's."""
PLAIN_CHAT = CHAT + "{{ '<|im_start|>assistant\n' }}"
CHANNEL_TOKENS = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>")


def build_scripted(
    folder: Path,
    script: str | Sequence[str],
    *,
    template: str | None = PLAIN_CHAT,
    special: Sequence[str] = (),
    end: str = "<|im_end|>",
    messages: Sequence[Any] = QUESTION,
    variables: dict[str, Any] | None = None,
    behind: str = "",
) -> Path:
    """Save a checkpoint that answers `messages` with a script, and then ends.

    Args:
        folder: where.
        script: the text, or its tokens one by one.
        template: the chat template.
        special: further special tokens.
        end: the token that ends an answer.
        messages: what it is asked; a prompt of another length gets the script from another place.
        variables: of the template.
        behind: what is written behind the template's text.
    """
    import torch
    from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

    tokenizer = build_tokenizer(template=template)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": list(special), "eos_token": end, "pad_token": end}
    )
    tokenizer.save_pretrained(folder)
    parts = [script] if isinstance(script, str) else script
    ids = [id_ for part in parts for id_ in tokenizer(part, add_special_tokens=False)["input_ids"]]
    ids.append(tokenizer.convert_tokens_to_ids(end))
    first = prompt_length(tokenizer, template, messages, variables or {}, behind)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=POSITIONS, n_embd=POSITIONS, n_layer=1, n_head=2,
        tie_word_embeddings=False, eos_token_id=ids[-1], bos_token_id=None,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.transformer.ln_f.weight.fill_(1.0)
        model.transformer.wpe.weight.copy_(torch.eye(POSITIONS))
        for at in range(POSITIONS):
            place = at - first + 1
            # Before the script and behind it something that no test takes for it.
            token = ids[place] if 0 <= place < len(ids) else ids[-1]
            model.lm_head.weight[token, at] = 1.0
    model.generation_config = GenerationConfig(eos_token_id=ids[-1])
    model.save_pretrained(folder)
    return folder


def prompt_length(
    tokenizer: Any, template: str | None, messages: Any, variables: dict[str, Any], behind: str
) -> int:
    """Tokens of the prompt, or 0 where there is no template."""
    if template is None:
        return len(tokenizer(behind, add_special_tokens=False)["input_ids"])
    text = tokenizer.apply_chat_template(
        [dict(message) for message in messages],
        tokenize=False,
        add_generation_prompt=True,
        **variables,
    )
    return len(tokenizer(text + behind, add_special_tokens=False)["input_ids"])


def settings_of(folder: Path, name: str, **values: Any) -> None:
    """Change a JSON file of a checkpoint."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")
