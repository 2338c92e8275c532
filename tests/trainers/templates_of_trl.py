"""The chat templates of current models, as TRL's package has them, and tokenizers for them."""

from __future__ import annotations

import re
import string
from functools import lru_cache
from pathlib import Path
from typing import Any

import trl

FOLDER = Path(trl.__file__).parent / "chat_templates"
FAMILIES = sorted(
    path.stem for path in FOLDER.glob("*.jinja") if not path.stem.endswith("_training")
)
MARK = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|</?(?:start|end)_of_(?:turn|utterance)>|</s>"
    r"|<\|?(?:turn|channel|tool|tool_call|tool_response)\|?>|</?(?:think|tool_call)>|\[gMASK\]|<sop>"
)
"""What is a token of its own in these models."""
PLAIN = ("<think>", "</think>", "<tool_call>", "</tool_call>")
"""Tokens that are not special: decoding shows them."""


def template(name: str) -> str:
    """The template of a family; "NAME_training" for TRL's training template."""
    return (FOLDER / f"{name}.jinja").read_text("utf-8")


@lru_cache(None)
def tokenizer(name: str) -> Any:
    """One token a character, and one for every mark of a family's template.

    Its end of sequence is that of a base model, which no template but those that write `eos_token`
    teaches.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    text = template(name)
    letters = list(dict.fromkeys(string.printable))
    vocabulary = {
        token: number for number, token in enumerate(["<pad>", "<bos>", "<eos>", *letters])
    }
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    made.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        clean_up_tokenization_spaces=False,
    )
    marks = sorted(set(MARK.findall(text)))
    fast.add_tokens([AddedToken(mark, special=mark not in PLAIN) for mark in marks])
    fast.model_max_length = 4096
    fast.chat_template = text
    return fast
