"""Whether the values of a recipe go together."""

from __future__ import annotations

from olmes.errors import OlmesError
from olmes.trainers.ppo.settings import ppo_config
from olmes.trainers.recipes.stages import Recipe, RewardRecipe, RLVRRecipe
from olmes.trainers.recipes.tables import DataSource
from olmes.trainers.trackers.names import check_names


def check_recipe(recipe: Recipe, where: str) -> Recipe:
    """The recipe, when its values go together.

    Raises:
        OlmesError: there is no data or a source has no size; or the numbers do not fit. The message
            begins with `where`.
    """
    check_names(recipe.report_to)
    try:
        check_data(recipe)
        check_validation(recipe)
        check_batches(recipe)
        if isinstance(recipe, RewardRecipe) and recipe.scoring.suite:
            raise OlmesError(
                "a reward model writes no text, so that no suite can score it; name files of "
                'preferences instead, as in scoring.tasks = ["held-out.jsonl"].'
            )
        if isinstance(recipe, RLVRRecipe):
            if recipe.algorithm == "grpo":
                check_groups(recipe)
            else:
                check_ppo(recipe)
    except OlmesError as error:
        raise OlmesError(f"{where}: {error}") from None
    return recipe


def check_data(recipe: Recipe) -> None:
    """Refuse a mixture that says too little.

    Raises:
        OlmesError: there is no data, or a source has no size.
    """
    if not recipe.data:
        raise OlmesError("there is no data; add [data] with a name and its size.")
    sources = [("data", *pair) for pair in recipe.data.items()]
    sources += [("validation.data", *pair) for pair in recipe.validation.data.items()]
    for key, name, source in sources:
        if source.fraction is None and source.count is None and source.weight is None:
            raise OlmesError(f"'{key}.{name}' has no size; {DataSource.HINT}.")
        if source.weight is not None and recipe.rows is None:
            raise OlmesError(f"'{key}.{name}' has a weight; say of how many `rows`.")


def check_validation(recipe: Recipe) -> None:
    """Refuse measurements of nothing.

    Raises:
        OlmesError: there are no rows to measure, or PPO trains, which measures none.
    """
    measured = recipe.validation
    if measured.every is not None and not measured.data:
        raise OlmesError(
            "validation.every is the number of updates between two measurements of [validation.data]; "
            "give both."
        )
    if measured.data and isinstance(recipe, RLVRRecipe) and recipe.algorithm == "ppo":
        raise OlmesError(
            "PPO measures no validation rows; remove [validation], or score checkpoints by [scoring]."
        )


def check_batches(recipe: Recipe) -> None:
    """Refuse a batch that processes cannot share.

    Raises:
        OlmesError: it does not divide.
    """
    optimization, hardware = recipe.optimization, recipe.hardware
    if hardware.processes % hardware.machines:
        raise OlmesError(
            f"hardware.processes ({hardware.processes}) is over all machines and must be a multiple "
            f"of hardware.machines ({hardware.machines})."
        )
    device_batch = optimization.micro_batch_size * hardware.processes
    if device_batch < 1 or optimization.batch_size % device_batch:
        raise OlmesError(
            f"optimization.batch_size ({optimization.batch_size}) must be a multiple of "
            f"micro_batch_size x processes ({device_batch})."
        )


def check_groups(recipe: RLVRRecipe) -> None:
    """Refuse groups of completions that do not fill a batch, and checkpoints within one.

    Raises:
        OlmesError: numbers do not divide.
    """
    batch, group = recipe.optimization.batch_size, recipe.generations
    if group < 2 or batch % group:
        raise OlmesError(
            f"optimization.batch_size ({batch}) must be a multiple of generations ({group}), which "
            "must be 2 or more."
        )
    if recipe.checkpoints.every % recipe.updates_per_batch:
        raise OlmesError(
            f"checkpoints.every ({recipe.checkpoints.every}) must be a multiple of updates_per_batch "
            f"({recipe.updates_per_batch}): a training that is resumed within a batch would leave its "
            "other passes out."
        )


def check_ppo(recipe: RLVRRecipe) -> None:
    """Refuse what PPO does not do.

    Raises:
        OlmesError: the recipe asks for it.
    """
    if recipe.lora is not None:
        raise OlmesError('PPO trains all weights; remove [lora], or use algorithm = "grpo".')
    if recipe.vllm == "server":
        raise OlmesError(
            'PPO has no vLLM server; set vllm = "colocate", with [ppo] asynchronous = true where vLLM '
            "is to have GPUs of its own."
        )
    if recipe.dynamic_sampling:
        raise OlmesError(
            "dynamic_sampling is for GRPO: PPO learns from every response, because its value model "
            "and not the others of a prompt says what was expected; remove it."
        )
    if recipe.hardware.processes > 1 and recipe.hardware.strategy in ("zero2", "zero3"):
        raise OlmesError('PPO shards by FSDP; set hardware.strategy = "fsdp".')
    ppo_config(recipe, rows=1)
