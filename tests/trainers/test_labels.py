"""Labels of whole batches are those that transformers gives chat by chat."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from olmes.trainers.templates.labels import IGNORED, Labelled, encoded, labelled
from olmes.trainers.templates.rendering import Renderer

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{% if m['role'] == 'assistant' %}"
    "{% generation %}{{ m['content'] }}{{ eos_token }}{% endgeneration %}\n"
    "{% else %}{{ m['content'] }}\n{% endif %}{% endfor %}"
)
TIGHT = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}"
    "{% endgeneration %}{% else %}{{ m['content'] }}{% endif %}{% endfor %}"
)
"""No mark between the turns: tokens reach over their ends."""
PIECES = (
    "\n", "\n\n", " ", "  ", "é", "a\u0301", "😀", "👨\u200d👩\u200d👧", "日本語", "abc", "12345",
    "<|end|>", "...", "\t", "\u200b", "word word", "\r\n", "'s", "<|assistant|>", "ﬁ", "ΑΒΓ", "Wörter",
)  # fmt: skip


def chats(count: int, seed: int) -> list[list[dict[str, str]]]:
    """Chats of turns with all that is awkward, empty ones among them."""
    random = Random(seed)

    def text() -> str:
        return "".join(random.choice(PIECES) for _ in range(random.randrange(8)))

    return [
        [
            {"role": role, "content": text()}
            for _ in range(random.randrange(1, 4))
            for role in ("user", "assistant")
        ]
        for _ in range(count)
    ]


def trained(kind: str) -> Any:
    """A small tokenizer of a kind, trained on the pieces."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<|end|>", "<|user|>", "<|assistant|>", "[UNK]"]
    text = ["".join(turn["content"] for turn in chat) for chat in chats(300, 1)]
    if kind.startswith("byte"):
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "byte-prefix")
        made.decoder = decoders.ByteLevel()
        if kind == "byte-nfkc":
            made.normalizer = normalizers.NFKC()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
    elif kind == "unigram":
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=200, special_tokens=special, unk_token="[UNK]", show_progress=False
        )
    elif kind == "metaspace":
        made = Tokenizer(models.BPE(byte_fallback=True, unk_token="[UNK]"))
        made.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    else:
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=300, special_tokens=special, show_progress=False
        )
    made.train_from_iterator(text, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|end|>", additional_special_tokens=special[1:3]
    )


def one_by_one(tokenizer: Any, chat: Any, template: str) -> Labelled:
    """What transformers makes of one chat."""
    coded = tokenizer.apply_chat_template(
        chat, chat_template=template, return_dict=True, return_assistant_tokens_mask=True
    )
    ids = list(coded["input_ids"])
    said = coded["assistant_masks"]
    return ids, [id_ if inside else IGNORED for id_, inside in zip(ids, said, strict=True)]


@pytest.mark.parametrize("template", [TEMPLATE, TIGHT], ids=["marked", "tight"])
@pytest.mark.parametrize(
    "kind", ["byte", "byte-prefix", "byte-nfkc", "unigram", "metaspace", "wordpiece"]
)
def test_a_batch_has_the_labels_of_single_chats(kind: str, template: str) -> None:
    tokenizer = trained(kind)
    some = chats(150, 2)
    if template == TIGHT:  # transformers learns a token that reaches over an empty answer
        some = [chat for chat in some if all(turn["content"] for turn in chat[1::2])]
    texts, marks = zip(*map(Renderer(tokenizer, template).marked, some), strict=True)
    found = [
        labelled(encoding, spans, len(text))
        for encoding, spans, text in zip(encoded(tokenizer, texts), marks, texts, strict=True)
    ]
    assert found == [one_by_one(tokenizer, chat, template) for chat in some]
    assert any(label != IGNORED for _, labels in found for label in labels)
