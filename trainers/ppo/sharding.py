"""Weights cut among the learning processes (FSDP2), for models that one device cannot hold whole.

Each process keeps a part of every weight, of its gradient and of what Adam remembers of it; a layer
is put together for the moment it computes. Policy, value model and reference are cut alike. What is
learned is the same: the tests hold two processes that share against one that does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import state_dict as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

WHOLE = dcp.StateDictOptions(full_state_dict=True, cpu_offload=True)


def shard(model: Any, accelerator: Any, layers: Any) -> None:
    """Cut a model's weights among all processes, in place.

    Args:
        model: a policy or a value model; its class becomes a subclass of its own.
        accelerator: says how many processes there are, on what, and in which precision.
        layers: the transformer whose layers are put together one at a time.
    """
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    half = torch.bfloat16 if accelerator.mixed_precision == "bf16" else None
    how = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32 if half else None)
    names = set(layers._no_split_modules or ())
    for part in list(model.modules()):
        if type(part).__name__ in names:
            fully_shard(part, mesh=mesh, mp_policy=how)
    fully_shard(model, mesh=mesh, mp_policy=how)


def is_sharded(model: Any) -> bool:
    """Whether a model's weights are cut."""
    return isinstance(model, FSDPModule)


@contextmanager
def put_together(model: Any) -> Iterator[None]:
    """All weights of a model on every process at once, to sample with at each process's own pace."""
    if not is_sharded(model):
        yield
        return
    parts = [part for part in model.modules() if isinstance(part, FSDPModule)]
    model.set_reshard_after_forward(False)
    for part in parts:
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
        model.set_reshard_after_forward(True)


def whole_weights(model: Any) -> Mapping[str, Tensor]:
    """A model's weights, whole, on the first process; nothing on the others where they are cut.

    All processes must call it.
    """
    if not is_sharded(model):
        weights: Mapping[str, Tensor] = model.state_dict()
        return weights
    whole: Mapping[str, Tensor] = dcp.get_model_state_dict(model, options=WHOLE)
    return whole


def load_whole_weights(model: Any, weights: Mapping[str, Tensor]) -> None:
    """Load whole weights, which every process has read, into a model that may be cut."""
    if is_sharded(model):
        dcp.set_model_state_dict(model, dict(weights), options=WHOLE)
    else:
        model.load_state_dict(weights)


def whole_optimizer(model: Any, optimizer: Any, *, sharded: bool) -> Mapping[str, Any]:
    """What the optimizer remembers, whole, on the first process. All processes must call it."""
    if not sharded:
        state: Mapping[str, Any] = optimizer.state_dict()
        return state
    whole: Mapping[str, Any] = dcp.get_optimizer_state_dict(model, optimizer, options=WHOLE)
    return whole


def load_whole_optimizer(
    model: Any, optimizer: Any, state: Mapping[str, Any], *, sharded: bool
) -> None:
    """The reverse of `whole_optimizer`; every process has read the state."""
    if sharded:
        dcp.set_optimizer_state_dict(model, optimizer, by_name(model, state), options=WHOLE)
    else:
        optimizer.load_state_dict(state)


def by_name(model: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's state under the names of weights; copies save it under their numbers."""
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]

    def named(key: int | str) -> str:
        return names[key] if isinstance(key, int) else key

    return {
        "state": {named(key): value for key, value in state["state"].items()},
        "param_groups": [
            {**group, "params": [named(key) for key in group["params"]]}
            for group in state["param_groups"]
        ],
    }


def number(norm: Any) -> float:
    """A gradient's norm, of which each process may hold a part."""
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
