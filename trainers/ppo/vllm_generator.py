"""vLLM as the generator of rollouts: an engine in the generator's own process, handed the weights.

It begins with no weights at all and takes each version from the memory that learner and generators
share; nothing goes through the disk. Log-probabilities are those that tokens were drawn at
(`processed_logprobs`), and every rollout has a seed of its own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from olmes.errors import OlmesError
from olmes.models.vllm_errors import explained
from olmes.models.vllm_start import check_runs_on_cpu, depends_on_window, on_device
from olmes.trainers.ppo.rollout import Order, Rollout, rollout_of

if TYPE_CHECKING:
    from olmes.trainers.ppo.worker import GeneratorRecipe


GROUP = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT",
)  # fmt: skip
"""What a launcher says to its processes."""


class VLLMGenerator:
    """Samples with vLLM; a `Generator` that is given weights by `load`."""

    def __init__(self, recipe: GeneratorRecipe) -> None:
        """Start the engine.

        Raises:
            OlmesError: vLLM does not start, or does not know the architecture.
        """
        self.prompts = recipe.prompts
        self.sampling = recipe.sampling
        self.version = -1
        self.window = window_of(recipe)
        with torch.device("meta"):
            self.skeleton = recipe.model_class._from_config(recipe.model_config, dtype=recipe.dtype)
        for name in GROUP:  # an engine is none of the processes that learn together
            os.environ.pop(name, None)
        # In this process, where the weights are.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        cpu = recipe.device == "cpu"
        with (
            tempfile.TemporaryDirectory(prefix="olmes-engine-") as folder,
            on_device(recipe.device, 1),
            in_our_words(),
            explained("the policy"),
        ):
            from vllm import LLM

            if cpu:
                check_runs_on_cpu()
            self.skeleton.config.save_pretrained(folder)
            self.llm = LLM(
                model=folder,
                skip_tokenizer_init=True,
                load_format="dummy",
                dtype="bfloat16" if recipe.autocast else str(recipe.dtype).removeprefix("torch."),
                max_model_len=self.window,
                # The model's own settings of decoding must not shape what is drawn.
                generation_config="vllm",
                logprobs_mode="processed_logprobs",
                # Compiling takes minutes on a CPU, and little is won there.
                enforce_eager=cpu,
                **({} if cpu else {"gpu_memory_utilization": recipe.memory}),
            )

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take a version's weights, under the names of the policy's `state_dict`."""
        named = checkpoint_names(self.skeleton, tensors)
        self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(named.items())})
        # What it computed under the weights before is worth nothing now.
        self.llm.reset_prefix_cache()

    def generate(self, order: Order) -> list[Rollout]:
        """One rollout a position, with the log-probabilities its tokens were drawn at."""
        chosen = [self.prompts[row] for row in order.rows]
        outputs = self.llm.generate(
            [{"prompt_token_ids": list(ids)} for ids in chosen],
            [
                self.settings(len(ids), seed)
                for ids, seed in zip(chosen, order.row_seeds, strict=True)
            ],
            use_tqdm=False,
        )
        made = []
        for position, row, ids, output in zip(
            order.positions, order.rows, chosen, outputs, strict=True
        ):
            drawn = output.outputs[0]
            tokens = list(drawn.token_ids)
            logprobs = [at[token].logprob for at, token in zip(drawn.logprobs, tokens, strict=True)]
            ends = self.sampling.end_ids
            made.append(rollout_of(position, row, ids, tokens, logprobs, ends, self.version))
        return made

    def settings(self, prompt: int, seed: int) -> Any:
        """How one response is drawn: from the policy's own distribution, whatever its length."""
        from vllm import SamplingParams

        how = self.sampling
        return SamplingParams(
            temperature=how.temperature,
            top_p=1.0,
            top_k=0,
            min_p=0.0,
            max_tokens=min(how.max_completion_length, self.window - prompt),
            stop_token_ids=list(how.end_ids),
            ignore_eos=True,  # those above are all that end a response
            seed=seed,
            logprobs=0,
            detokenize=False,
        )


@contextmanager
def in_our_words() -> Iterator[None]:
    """Name the settings of a recipe where vLLM's own options are the remedy."""
    try:
        yield
    except OlmesError as error:
        text = str(error).replace("vllm:NAME?gpu_memory_utilization=", "[ppo] engine_memory = ")
        raise OlmesError(text) from None


def window_of(recipe: GeneratorRecipe) -> int:
    """Tokens the engine has room for: the longest prompt with its response, within the model's own."""
    config = recipe.model_config.get_text_config()
    own: int | None = getattr(config, "max_position_embeddings", None)
    if own is None:
        return recipe.window
    return own if depends_on_window(recipe.model_config) else min(own, recipe.window)


def checkpoint_names(skeleton: Any, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Weights as a checkpoint has them, which is what vLLM reads.

    transformers keeps some architectures (mixtures of experts) in another form in memory.
    """
    try:
        from transformers.core_model_loading import revert_weight_conversion
    except ImportError:  # before transformers 5 there was one form
        return tensors
    found: Mapping[str, Tensor] = revert_weight_conversion(skeleton, dict(tensors))
    return found
