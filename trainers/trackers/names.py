"""Which trackers there are, and whether their packages are installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from olmes.errors import OlmesError
from olmes.tools.near_names import nearest

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "wandb": ("wandb",),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
}
"""By tracker, the modules one of which it needs."""
OTHERS = (
    "azure_ml", "clearml", "codecarbon", "comet_ml", "dagshub", "dvclive", "flyte", "neptune",
    "swanlab",
)  # fmt: skip
"""What else transformers reports to."""


def check_names(names: Sequence[str]) -> None:
    """Refuse a tracker that there is none of.

    Raises:
        OlmesError: a name is unknown.
    """
    known = (*PACKAGES, *OTHERS)
    for name in names:
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean {close}?" if close else f"choose from {', '.join(known)}."
            raise OlmesError(f"report_to: there is no tracker '{name}'; {hint}")


def check_packages(names: Sequence[str]) -> None:
    """Refuse a tracker whose package is missing, before the data and the model are loaded.

    Raises:
        OlmesError: it is.
    """
    for name in names:
        modules = PACKAGES.get(name, ())
        if modules and not any(find_spec(module) for module in modules):
            raise OlmesError(
                f'report_to names {name}, which is not installed; run "pip install {name}", or '
                "\"pip install 'olmes[trackers]'\" for all four trackers."
            )
