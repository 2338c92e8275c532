"""A small encoder, made here."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four layers of random weights; one token a byte, and 62 positions."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizer

    folder = tmp_path_factory.mktemp("encoders") / "roberta"
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *pre_tokenizers.ByteLevel.alphabet()]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    RobertaTokenizer(vocab=vocabulary, merges=[], model_max_length=512).save_pretrained(folder)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    RobertaModel(config).save_pretrained(folder)
    return folder
