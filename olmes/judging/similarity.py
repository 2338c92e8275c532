"""How near texts are to a reference: BERTScore F1 (Zhang et al. 2020, section 3), without rescaling.

Each token of one text is matched with the token of the other whose contextual embedding has the
highest cosine; precision is the mean over the candidate's tokens, recall over the reference's, F1
their harmonic mean. As in the authors' package the tokens that open and close a text can be matched
but carry no weight, idf is not used, and a text without a token of its own scores 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.models.checkpoint import folder as files
from olmes.models.checkpoint.fingerprint import checkpoint_fingerprint
from olmes.types import Judgement, Similarity

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

LAYERS = {
    ("bert", 12, 768): 9,
    ("bert", 24, 1024): 18,
    ("deberta", 12, 768): 9,
    ("deberta", 24, 1024): 16,
    ("distilbert", 6, 768): 5,
    ("electra", 12, 768): 9,
    ("electra", 24, 1024): 14,
    ("roberta", 6, 768): 5,
    ("roberta", 12, 768): 10,
    ("roberta", 24, 1024): 17,
    ("xlm-roberta", 12, 768): 9,
    ("xlm-roberta", 24, 1024): 17,
}
"""By architecture, number of layers and width: the layer whose embeddings are compared (the authors'
choice on WMT16). By shape and not by name, so that a folder and a hub id mean the same."""
SHIFTED = ("camembert", "roberta", "xlm-roberta")
"""Architectures that count positions from the padding token's id on, and so have fewer."""
SPACED = ("gpt2", "roberta")
"""Architectures whose tokenizer tells a first word from an inner one by the blank before it."""

Done = Callable[[int, Judgement], None]
"""Called with a question's position and its judgement, once for each."""


class SimilarityEncoder:
    """An encoder that answers `Similarity` questions; float32, on the GPU where there is one.

    Texts are encoded one at a time: padding would move the last digits, and equal similarities are a
    tie. A text beyond the encoder's window (512 tokens for `roberta-large`) is cut at its end.

    Args:
        name: hub id, or folder written by `save_pretrained`.

    Raises:
        OlmesError: from any method: the encoder cannot be loaded.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        path = Path(name).expanduser()
        self._checkpoint: files.Checkpoint = (
            files.LocalCheckpoint(path) if path.is_dir() else files.HubCheckpoint(name)
        )

    @cached_property
    def folder(self) -> Path:
        """Where its files lie."""
        try:
            return self._checkpoint.folder(weights=True)
        except OlmesError as error:
            raise OlmesError(
                f"embedding similarity needs the encoder '{self.name}', which is not at hand: "
                f"{str(error).rstrip('.')}; or name the folder of a local copy with --set "
                "TASK.encoder=FOLDER."
            ) from None

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits over the content of the encoder's files."""
        return checkpoint_fingerprint(self.folder)

    @property
    def engine(self) -> dict[str, Any]:
        """What changes similarities beside the weights."""
        return {
            "backend": "bertscore",
            "layer": self.layer,
            "window": self.window,
            "transformers": version("transformers"),
            "torch": version("torch"),
            "dtype": "float32",
            "device": files.describe_device(self.device),
        }

    def describe(self) -> dict[str, Any]:
        """What a record says of the encoder, beside its name."""
        return {"fingerprint": self.fingerprint, "engine": self.engine}

    @cached_property
    def config(self) -> PretrainedConfig:
        """The encoder's configuration."""
        from transformers import AutoConfig

        return self._loaded(AutoConfig)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The encoder's tokenizer."""
        from transformers import AutoTokenizer

        return self._loaded(AutoTokenizer)

    @cached_property
    def device(self) -> str:
        """Where the encoder runs."""
        return files.choose_device(None)

    @property
    def layer(self) -> int:
        """The layer whose embeddings are compared, counted from 1; the last one when unknown."""
        layers = int(self.config.num_hidden_layers)
        shape = (self.config.model_type, layers, int(self.config.hidden_size))
        return LAYERS.get(shape, layers)

    @property
    def window(self) -> int:
        """The most tokens of a text, with those that open and close it."""
        positions = int(getattr(self.config, "max_position_embeddings", 0) or 1 << 20)
        if self.config.model_type in SHIFTED:
            positions -= int(self.config.pad_token_id) + 1
        return min(positions, int(self.tokenizer.model_max_length))

    @cached_property
    def weights(self) -> PreTrainedModel:
        """The layers up to the one that is compared; the others are not loaded."""
        import torch
        from transformers import AutoModel

        model, report = self._loaded(
            AutoModel,
            num_hidden_layers=self.layer,
            dtype=torch.float32,
            output_loading_info=True,
        )
        # What pools a whole text is no part of its tokens' embeddings, and many files lack it.
        missing = [key for key in sorted(report["missing_keys"]) if not key.startswith("pooler")]
        if missing:
            raise OlmesError(
                f"the weights of '{self.name}' lack {len(missing)} tensors of the encoder in its "
                f"config.json ({missing[0]} is the first); save the whole model again."
            )
        return model.to(self.device).eval()

    def _loaded(self, kind: Any, **settings: Any) -> Any:
        """What transformers makes of the files.

        Raises:
            OlmesError: it refuses them.
        """
        from safetensors import SafetensorError

        try:
            with files.quiet():
                return kind.from_pretrained(
                    self.folder, local_files_only=True, trust_remote_code=False, **settings
                )
        except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
            raise OlmesError(
                f"the encoder '{self.name}' cannot be loaded by transformers "
                f"({files.first_line(error)}); give a hub id or a folder written by "
                "save_pretrained, with its tokenizer."
            ) from error

    def judge(self, questions: Sequence[Similarity], done: Done) -> None:
        """Answer every question, in their order."""
        for position, question in enumerate(questions):
            done(position, Judgement(similarities=self.similarities(question)))

    def similarities(self, question: Similarity) -> tuple[float, ...]:
        """BERTScore F1 of each candidate with the reference, from -1 to 1."""
        assert question.encoder == self.name, "a question for another encoder"
        reference = self.tokens(question.reference)
        return tuple(f1(self.tokens(text), reference) for text in question.candidates)

    def tokens(self, text: str) -> tuple[Tensor, Tensor]:
        """Unit embeddings of a text's tokens (n × d, float64) and which of them weigh (n flags)."""
        import torch

        ids = torch.tensor(self.token_ids(text), dtype=torch.long)
        if not len(ids):
            return torch.zeros(0, 1, dtype=torch.float64), torch.zeros(0, dtype=torch.bool)
        with torch.inference_mode():
            output = self.weights(input_ids=ids[None].to(self.device))
        # In double precision a text's similarity with itself is 1 to the last digits shown.
        embeddings = torch.nn.functional.normalize(output[0][0].cpu().double(), dim=-1)
        marks = (self.tokenizer.cls_token_id, self.tokenizer.sep_token_id)
        return embeddings, torch.tensor([each not in marks for each in ids.tolist()])

    def token_ids(self, text: str) -> list[int]:
        """The tokens of a text, cut at the window."""
        # A replayed response may hold a lone surrogate, which no tokenizer takes.
        text = text.strip().encode("utf-8", "replace").decode("utf-8")
        spaced = text and self.config.model_type in SPACED
        encoded = self.tokenizer(
            f" {text}" if spaced else text, truncation=True, max_length=self.window
        )
        return list(encoded["input_ids"])


def f1(candidate: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]) -> float:
    """BERTScore F1 of two texts, given as `SimilarityEncoder.tokens` does; 0 where one has no token."""
    (ours, weighs), (theirs, weighs_there) = candidate, reference
    if not weighs.any() or not weighs_there.any():
        return 0.0
    cosines = ours @ theirs.T
    precision = cosines.max(dim=1).values[weighs].mean().item()
    recall = cosines.max(dim=0).values[weighs_there].mean().item()
    total = precision + recall
    return float(2 * precision * recall / total) if total else 0.0
