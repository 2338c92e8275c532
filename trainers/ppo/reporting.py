"""The run's log in transformers' own form, so that its callbacks and our hook work unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olmes.trainers.ppo import checkpoint
from olmes.trainers.ppo.config import PPOConfig
from olmes.trainers.ppo.learner import Learner


def training_arguments(config: PPOConfig, output_dir: Path) -> Any:
    """The settings in the form callbacks are given.

    To be made before the `Accelerator`: making one resets accelerate's shared state.
    """
    import torch
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(output_dir), max_steps=config.updates, seed=config.seed,
        learning_rate=config.learning_rate, per_device_train_batch_size=config.batch_size,
        save_steps=config.save_every, save_total_limit=config.save_total_limit,
        logging_steps=1, report_to=[],
        use_cpu=config.device == "cpu" or not torch.cuda.is_available(),
    )  # fmt: skip


class Reporter:
    """A `TrainerState` with the history, and the callbacks that watch it."""

    def __init__(
        self, config: PPOConfig, arguments: Any, history: list[dict[str, float]],
        callbacks: Sequence[Any], learner: Learner, tokenizer: Any, prompts: int,
    ) -> None:  # fmt: skip
        from transformers import TrainerControl, TrainerState

        self.config = config
        self.output_dir = output_dir = Path(arguments.output_dir)
        self.learner = learner
        self.tokenizer = tokenizer
        self.prompts = prompts
        self.callbacks = list(callbacks)
        main = learner.accelerator.is_main_process
        self.arguments = arguments
        self.state = TrainerState(
            global_step=len(history), max_steps=config.updates, save_steps=config.save_every,
            logging_steps=1, train_batch_size=config.batch_size, log_history=list(history),
            is_local_process_zero=learner.accelerator.is_local_main_process,
            is_world_process_zero=main,
        )  # fmt: skip
        self.control = TrainerControl()
        self.last_checkpoint = output_dir / f"checkpoint-{len(history)}"

    def call(self, event: str, **more: Any) -> None:
        """Call every callback; one that returns a control replaces it, as in transformers."""
        for callback in self.callbacks:
            answer = getattr(callback, event)(
                self.arguments, self.state, self.control, model=self.learner.policy,
                processing_class=self.tokenizer, optimizer=self.learner.optimizer, **more,
            )  # fmt: skip
            if answer is not None:
                self.control = answer

    @property
    def stopping(self) -> bool:
        """Whether a callback wants the run to end."""
        return bool(self.control.should_training_stop)

    @property
    def asked_to_save(self) -> bool:
        """Whether a callback wants a checkpoint now."""
        return bool(self.control.should_save)

    def say(self, message: str) -> None:
        """A line for the user, once."""
        self.learner.accelerator.print(message)

    def begin(self) -> None:
        """Before the first update."""
        self.call("on_init_end")
        self.call("on_train_begin")

    def step_begin(self) -> None:
        """Before an update's rollouts."""
        self.control.should_save = False
        self.call("on_step_begin")

    def step_end(self, numbers: dict[str, float]) -> None:
        """Count an update and log its numbers."""
        self.state.global_step += 1
        self.state.epoch = self.state.global_step * self.config.prompts_per_update / self.prompts
        self.call("on_step_end")
        entry = numbers | {"epoch": self.state.epoch, "step": self.state.global_step}
        self.state.log_history.append(entry)
        self.call("on_log", logs=numbers)

    def save(self, data: str) -> None:
        """Write a checkpoint, then call the callbacks; one process writes."""
        accelerator = self.learner.accelerator
        self.last_checkpoint = self.output_dir / f"checkpoint-{self.state.global_step}"
        states = self.learner.states()
        if accelerator.is_main_process:
            checkpoint.save(
                self.output_dir, self.learner.policy, states, self.tokenizer, self.state,
                self.config, data,
            )  # fmt: skip
        accelerator.wait_for_everyone()
        self.control.should_save = False
        self.call("on_save")

    def end(self) -> None:
        """After the last update."""
        self.call("on_train_end")
