"""What people type who come from another harness, and what it is here: one sentence each.

The names of options are those of lm-evaluation-harness, lighteval and inspect.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from olmes.tools.near_names import nearest

COMMANDS = {
    "eval": "run", "evaluate": "run", "generate": "run", "ls": "list", "tasks": "list",
    "leaderboard": "report", "view": "serve", "server": "serve", "diff": "compare",
    "download": "data pull", "pull": "data pull", "upload": "push", "validate": "check",
}  # fmt: skip
"""What others call a command, with what it is here."""
STORED = "leave it out: responses are stored as they arrive"
OPTIONS = {
    "tasks": "write --task a,b or --task 'mmlu*', and --suite for a suite",
    "num_fewshot": "write --set TASK.shots=N, or --set '*.shots=N' for all; the run is then marked as "
    "not standard",
    "model_args": "write --model ORG/NAME@REVISION, and --dtype, --max-length, --trust-remote-code, "
    "--adapter or vllm:NAME?tensor_parallel_size=2 beside it",
    "gen_kwargs": "write --temperature, --top-p, --seed, --repeats, or --set TASK.max_tokens=N",
    "output_path": "write --out FOLDER",
    "output_dir": "write --out FOLDER",
    "log_dir": "write --out FOLDER",
    "log_samples": "leave it out: every sample lies in the run's folder, in samples/TASK.jsonl",
    "predict_only": f"{STORED}, and `olmes score` scores a file of them again",
    "apply_chat_template": "leave it out: chats go through the model's own template; --chat-template "
    "plain is for base models",
    "fewshot_as_multiturn": "leave it out: the task's formulation says so; `olmes show TASK` prints it",
    "system_instruction": "write --system TEXT",
    "system_prompt": "write --system TEXT",
    "system_message": "write --system TEXT",
    "wandb_args": "write --push URL to show runs on a server (`olmes serve`); `olmes report runs -o "
    "scores.csv` has the numbers for others",
    "wandb_config_args": "write --push URL to show runs on a server (`olmes serve`)",
    "hf_hub_log_args": "write --push URL to send the run to a server of your own (`olmes serve`)",
    "use_cache": f"{STORED} and taken again; --no-cache does neither",
    "cache_requests": f"{STORED} and taken again; --no-cache does neither",
    "include_path": "write --task path/to/file.py",
    "custom_tasks": "write --task path/to/file.py",
    "samples": "write --items 3,17 or --items gsm8k/17",
    "examples": "write --items 3,17 or --items gsm8k/17",
    "sample_id": "write --items 3,17 or --items gsm8k/17",
    "epochs": "write --repeats N",
    "max_samples": "write --limit N",
    "max_batch_size": "write --batch-size N",
    "revision": "write --model ORG/NAME@REVISION",
    "tensor_parallel_size": "write --model 'vllm:NAME?tensor_parallel_size=N'",
    "write_out": "`olmes show TASK` prints the exact prompts",
    "check_integrity": "`olmes check TASK` checks a task",
    "confirm_run_unsafe_code": "leave it out: programs run in a sandbox (`olmes sandbox check`)",
    "verbosity": "-v shows the trace of a failure",
}  # fmt: skip
"""What others call an option of a run, with what to write here."""
ASKING = ("run", "watch", "score", "reproduce")
"""Commands in which these habits are answered."""


def command_meant(written: str, known: Sequence[str], *, root: bool) -> str:
    """The command that may have been meant; '' where nothing is like it.

    Args:
        written: what was typed.
        known: the commands of the group.
        root: whether the group is `olmes` itself.
    """
    habit = COMMANDS.get(written.lower(), "") if root else ""
    return habit or nearest(written, known)


def said_of(error: click.NoSuchOption) -> str:
    """What to write in the place of an option that there is none of; '' where nobody knows."""
    context, option = error.ctx, error.option_name
    if context is None:
        return ""
    bare = option.lstrip("-").replace("-", "_")
    ours = "--" + bare.replace("_", "-")
    if ours != option and any(ours in one.opts for one in context.command.params):
        return f"there is no option {option}; write {ours}."
    if context.parent is None:  # before a command, as lm_eval is called
        habit = bare in OPTIONS or bare in ("model", "task", "suite", "limit", "batch_size")
        return f"{option} goes behind a command: olmes run --model MODEL --task a,b" * habit
    if bare in OPTIONS and context.info_name in ASKING:
        return f"there is no option {option}; {OPTIONS[bare]}."
    return ""
