"""What stands at the end of every help: lines to copy, by the command's words behind `olmes`."""

from __future__ import annotations

from collections.abc import Sequence

EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": ("olmes demo", "olmes demo --no-live --out path/to/demo"),
    "run": (
        "olmes run --suite dev --model path/to/checkpoint",
        "olmes run org/name@main --task gsm8k,'humaneval*' --limit 0.1",
        "olmes run --suite dev 'ckpts/step_*'",
        "olmes run --task gsm8k --items 3,17 smollm2",
    ),
    "show": ("olmes show gsm8k", "olmes show gsm8k --docs 0,3-5 --model smollm2"),
    "list": ("olmes list", "olmes list 'mmlu*' gsm8k"),
    "check": ("olmes check gsm8k --limit 20", "olmes check path/to/task.py --data DIR"),
    "score": ("olmes score --task gsm8k responses.jsonl --verdicts verdicts.jsonl",),
    "report": (
        "olmes report runs/NAME",
        "olmes report runs -o table.tex",
        "olmes report runs --as leaderboard --format md",
    ),
    "compare": ("olmes compare runs/A runs/B", "olmes compare runs/A runs/B -o comparison.html"),
    "gate": ("olmes gate runs/BASELINE runs/CANDIDATE --policy gate.toml",),
    "generalization": ("olmes generalization runs -o generalization.html",),
    "reproduce": ("olmes reproduce tulu3 --runs runs --model path/to/model",),
    "unseal": ('olmes unseal runs/NAME --reason "reading what the final model got wrong"',),
    "ledger": ("olmes ledger", "olmes ledger --out path/to/runs --json"),
    "decontaminate": (
        "olmes decontaminate train.jsonl --against dev,unseen",
        "olmes decontaminate org/name --against 'mmlu*' --report overlap --out clean",
    ),
    "train": (
        "olmes train chain demo",
        "olmes train sft small-sft --set optimization.max_steps=10",
        "olmes train dpo recipe.toml --show",
    ),
    "synth personas": ("olmes synth personas demo-personas --out synthetic/demo",),
    "synth preferences": ("olmes synth preferences demo-preferences --set data.limit=20",),
    "watch": ("olmes watch path/to/output_dir --suite dev --limit 200",),
    "serve": ("olmes serve", "olmes serve --runs path/to/runs --port 9000"),
    "push": ("olmes push runs --to http://localhost:8765",),
    "token create": ("olmes token create ci --role write",),
    "token list": ("olmes token list",),
    "token revoke": ("olmes token revoke ci",),
    "backup make": ("olmes backup make path/to/backup --store olmes-store",),
    "backup restore": ("olmes backup restore path/to/backup --store olmes-store",),
    "sandbox check": ("olmes sandbox check",),
    "sandbox list": ("olmes sandbox list",),
    "sandbox install": ("olmes sandbox install bigcodebench",),
    "sandbox remove": ("olmes sandbox remove bigcodebench",),
    "data list": ("olmes data list", "olmes data list --data path/to/data --json"),
    "data pull": ("olmes data pull gsm8k math --to path/to/data",),
}


def examples_of(path: str) -> Sequence[str]:
    """The lines of a command; of a group, the first line of each of its commands."""
    if path in EXAMPLES:
        return EXAMPLES[path]
    return [lines[0] for name, lines in EXAMPLES.items() if name.startswith(f"{path} ")]


def as_epilog(lines: Sequence[str]) -> str:
    """The lines as click prints them at the end of a help, not wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)]) if lines else ""
