"""IFEval-OOD: instructions no model was tuned on, 0-shot (Tülu 3, Table 24; OLMES `ifeval_ood::tulu`).

The data are the authors' release of 2025, IFBench; Tülu 3's own prompts were never published. Scores
are therefore not comparable with the paper's 17 to 35 %. `ifbench` is the same task under the
benchmark's own name.
"""

from __future__ import annotations

from olmes.scoring.constraints.ifbench.task import IFBenchTask


class IFEvalOOD(IFBenchTask):
    """IFBench under the name it has in the unseen suite."""

    name = "ifeval_ood"
    title = "IFEval-OOD (IFBench)"


TASK = IFEvalOOD()
