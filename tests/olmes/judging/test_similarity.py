"""BERTScore against a computation by hand, on small encoders that are made here."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import pytest

from olmes import Judgement, OlmesError, Similarity
from olmes.judging import similarity
from olmes.judging.similarity import SimilarityEncoder

TEXTS = (
    "The fox jumps.",
    "The fox jumps over the lazy dog, and it is cold!",
    "  42 is the answer\n",
    "<s> odd </s> tokens",
    "fox " * 80,
    "",
)
WIDTH = 32


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of random weights; one token a letter; saved without what pools a text."""
    import string

    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("encoders") / "bert"
    letters = string.ascii_lowercase + string.digits + ".,!"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{x}" for x in letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    BertTokenizer(vocab=vocabulary, model_max_length=10**30).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=48,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def by_hand(folder: Path, layer: int, ids: tuple[list[int], list[int]], marks: set[int]) -> float:
    """F1 in plain loops, over a layer among the outputs of the whole model."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    texts = []
    with torch.no_grad():
        for each in ids:
            states = model(torch.tensor([each]), output_hidden_states=True).hidden_states
            texts.append(states[layer][0].double().tolist())

    def cosine(a: list[float], b: list[float]) -> float:
        product_ = sum(x * y for x, y in zip(a, b, strict=True))
        return product_ / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    def mean_of_best(
        rows: list[list[float]], others: list[list[float]], row_ids: list[int]
    ) -> float:
        best = [
            max(cosine(row, other) for other in others)
            for row, token in zip(rows, row_ids, strict=True)
            if token not in marks
        ]
        return sum(best) / len(best)

    precision = mean_of_best(texts[0], texts[1], ids[0])
    recall = mean_of_best(texts[1], texts[0], ids[1])
    return 2 * precision * recall / (precision + recall)


def scores(encoder: SimilarityEncoder, *candidates: str, reference: str) -> tuple[float, ...]:
    return encoder.similarities(
        Similarity(candidates=candidates, reference=reference, encoder=encoder.name)
    )


def test_it_is_what_the_formula_says(roberta: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(similarity.LAYERS, ("roberta", 4, WIDTH), 3)
    encoder = SimilarityEncoder(str(roberta))
    assert encoder.layer == 3
    assert len(encoder.weights.encoder.layer) == 3
    for first, second in ((0, 1), (1, 0), (2, 3), (1, 4)):
        ids = (encoder.token_ids(TEXTS[first]), encoder.token_ids(TEXTS[second]))
        (found,) = scores(encoder, TEXTS[first], reference=TEXTS[second])
        assert found == pytest.approx(by_hand(roberta, 3, ids, {0, 2}), abs=1e-6)
        assert abs(found) < 0.999


def test_an_unknown_architecture_is_compared_in_its_last_layer(bert: Path) -> None:
    encoder = SimilarityEncoder(str(bert))
    assert (encoder.layer, encoder.window) == (2, 48)
    ids = (encoder.token_ids("a fox, a dog"), encoder.token_ids("the dog."))
    (found,) = scores(encoder, "a fox, a dog", reference="the dog.")
    assert found == pytest.approx(by_hand(bert, 2, ids, {2, 3}), abs=1e-6)


def test_equal_texts_score_one_and_empty_ones_nothing(roberta: Path, bert: Path) -> None:
    encoder = SimilarityEncoder(str(roberta))
    for text in TEXTS[:-1]:
        same, padded, empty = scores(encoder, text, f"\n{text}  ", " \n", reference=text)
        assert same == pytest.approx(1.0, abs=1e-12)
        assert padded == same
        assert empty == 0.0
    assert scores(encoder, "", "x", reference="") == (0.0, 0.0)
    assert scores(SimilarityEncoder(str(bert)), "[SEP]", "fox", reference="[CLS]") == (0.0, 0.0)


def test_candidate_and_reference_may_be_exchanged(roberta: Path) -> None:
    encoder = SimilarityEncoder(str(roberta))
    for one, other in product(TEXTS, TEXTS):
        forth, back = scores(encoder, one, reference=other), scores(encoder, other, reference=one)
        assert forth == pytest.approx(back, abs=1e-12)


def test_company_does_not_change_a_similarity(roberta: Path) -> None:
    encoder = SimilarityEncoder(str(roberta))
    questions = [
        Similarity(candidates=(one, other), reference=TEXTS[1], encoder=encoder.name)
        for one, other in product(TEXTS, TEXTS)
    ]
    forwards: dict[int, Judgement] = {}
    encoder.judge(questions, forwards.__setitem__)
    backwards: dict[int, Judgement] = {}
    SimilarityEncoder(str(roberta)).judge(questions[::-1], backwards.__setitem__)
    assert list(forwards) == list(range(len(questions)))
    for position, question in enumerate(questions):
        judgement = forwards[position]
        assert judgement == backwards[len(questions) - 1 - position]
        assert judgement.similarities == encoder.similarities(question)
        assert not judgement.error


def test_what_is_beyond_the_window_is_not_read(roberta: Path) -> None:
    encoder = SimilarityEncoder(str(roberta))
    assert encoder.window == 62  # two of the 64 positions are not used
    long = "a fox and a dog " * 10
    assert len(encoder.token_ids(long)) == 62
    assert scores(encoder, long, long + "and more", reference="a fox") == (
        scores(encoder, long, reference="a fox") * 2
    )


def test_a_first_word_is_read_as_any_other(roberta: Path) -> None:
    """As the authors' package did with the tokenizers of its time."""
    ids = SimilarityEncoder(str(roberta)).token_ids("fox")
    assert len(ids) == 6
    assert SimilarityEncoder(str(roberta)).tokenizer.decode(ids) == "<s> fox</s>"


def test_a_lone_surrogate_is_a_text_like_any_other(roberta: Path) -> None:
    (found,) = scores(SimilarityEncoder(str(roberta)), "a \ud800 fox", reference="a ? fox")
    assert found == pytest.approx(1.0)


def test_the_fingerprint_is_of_the_content(roberta: Path, bert: Path) -> None:
    found = SimilarityEncoder(str(roberta)).fingerprint
    assert len(found) == 64
    assert (
        found
        == SimilarityEncoder(str(roberta)).fingerprint
        != SimilarityEncoder(str(bert)).fingerprint
    )
    described = SimilarityEncoder(str(bert)).describe()
    engine = described["engine"]
    assert len(described["fingerprint"]) == 64
    assert (engine["backend"], engine["layer"], engine["dtype"]) == ("bertscore", 2, "float32")


def test_an_encoder_that_is_not_there_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    encoder = SimilarityEncoder("roberta-large-that-is-nowhere")
    question = Similarity(candidates=("a",), reference="a", encoder=encoder.name)
    with pytest.raises(OlmesError, match=r"needs the encoder .*--set TASK\.encoder=FOLDER"):
        encoder.judge([question], lambda *_: None)
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with pytest.raises(OlmesError, match="cannot be loaded by transformers"):
        scores(SimilarityEncoder(str(tmp_path)), "a", reference="a")


def test_incomplete_weights_are_refused(bert: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "broken"
    shutil.copytree(bert, folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(OlmesError, match=r"lack 1 tensors .*encoder\.layer\.1\.output"):
        scores(SimilarityEncoder(str(folder)), "a", reference="a")
