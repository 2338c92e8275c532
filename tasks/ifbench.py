"""IFBench: 58 verifiable constraints no model was tuned on, 0-shot (Pyatkin et al. 2025).

The successor to the IFEval-OOD of Tülu 3, whose prompts were never published; scores are not
comparable with that paper's 17 to 35 %. `ifeval_ood` is the same task under the protocol's name.
"""

from __future__ import annotations

from olmes.scoring.constraints.ifbench.task import IFBenchTask


class IFBench(IFBenchTask):
    """IFBench under its own name."""

    name = "ifbench"
    title = "IFBench"
    sample = "ifeval_ood"


TASK = IFBench()
