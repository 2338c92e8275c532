"""HumanEval+: HumanEval's functions with some eighty times as many tests (Liu et al. 2023).

Tülu 3, Table 24; OLMES `codex_humanevalplus::tulu`. The prompts are HumanEval's, but for one problem.
"""

from __future__ import annotations

from olmes import DataFile, Doc, HubSplit, Limits, Source
from olmes.scoring.code.completion_task import CompletionTask

BROKEN = "_poly(*candidate(*inp), inp)"
"""Of HumanEval/32, whose answer is a number: no function passes a test that unpacks it."""
CORRECTED = "abs(_poly(*inp, candidate(*inp)))"
"""What EvalPlus's own program checks: the polynomial's value at the zero that was found."""


class HumanEvalPlus(CompletionTask):
    """Executed with the tests of EvalPlus, which need numpy, for 20 seconds of a processor."""

    name = "humaneval_plus"
    title = "HumanEval+"
    source = Source(
        files=(
            DataFile(
                path="humaneval/HumanEvalPlus-OriginFmt.jsonl.gz",
                github="evalplus/humanevalplus_release:HumanEvalPlus-OriginFmt.jsonl.gz"
                "@200defce9e3429d28ca215b6dd061c0f7f31c18b",
                sha256="04228b8a570ff7c346c740b91f0c6a0b323f86a26e903db8477c6f2d10f38819",
                rows=164,
            ),
        ),
        hub=(HubSplit(repository="evalplus/humanevalplus", split="test"),),
        fields=("task_id", "prompt", "entry_point", "canonical_solution", "test"),
        question=("prompt",),
        answer=("canonical_solution",),
        content_hash="f15b442489f5ad47b145ae8795d14ef8aff3f58f8e18d4f1d5241c509e1b7aa0",
        licence="Apache-2.0",
    )
    limits = Limits(wall_s=60.0, processors=1 / 3, memory_bytes=4 << 30, processes=64)

    def corrected_tests(self, doc: Doc) -> str:
        """The tests of the honest metric, which HumanEval/32 can pass."""
        return self.tests(doc).replace(BROKEN, CORRECTED)


TASK = HumanEvalPlus()
