"""HumanEval: the rest of a Python function, from its first line and its docstring.

Tülu 3, Table 24; OLMES `codex_humaneval::tulu`: 0-shot chat, twenty samples at temperature 0.8, of
which the unbiased pass@10 is reported.
"""

from __future__ import annotations

from olmes import DataFile, HubSplit, Limits, Source
from olmes.scoring.code.completion_task import CompletionTask


class HumanEval(CompletionTask):
    """Executed with the tests of Chen et al. (2021), for 3 seconds of a processor at most."""

    name = "humaneval"
    title = "HumanEval"
    source = Source(
        files=(
            DataFile(
                path="humaneval/HumanEval.jsonl.gz",
                github="openai/human-eval:data/HumanEval.jsonl.gz"
                "@6d43fb980f9fee3c892a914eda09951f772ad10d",
                sha256="1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2",
                rows=164,
            ),
        ),
        hub=(HubSplit(repository="openai/openai_humaneval", split="test"),),
        fields=("task_id", "prompt", "entry_point", "canonical_solution", "test"),
        question=("prompt",),
        answer=("canonical_solution",),
        content_hash="c6cbdb2efe017e6397e60d31cb66ece1bb1d66a8771fc3d5e80a7bd75df2b08b",
        licence="MIT",
    )
    limits = Limits(wall_s=9.0, processors=1 / 3)


TASK = HumanEval()
