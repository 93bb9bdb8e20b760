"""Decoder layers through torch.compile: on a CPU the casts, norms and activations between the products cost as much as they do."""

from __future__ import annotations

from typing import Any

import torch
import torch._functorch.config

from npc_align.modeling.attention import use_products
from npc_align.training.launch import announce

# Share of a layer's activations that its backward may keep; the rest, element-wise results, is computed again. On a CPU that costs nothing,
# as what isn't written needn't be read (benchmarks/README.md).
_KEPT = 0.5


def compile_layers(model: Any, processes: int) -> bool:
    """Compile the decoder layers in place, for CPU training; names and weights of the model stay as they are.

    Layers of one kind share their compiled code, whatever the batch's shape. Weights that a launcher spreads or wraps
    (several processes) and other devices are left alone, and so is a machine without a working C++ compiler.

    Args:
        model: a causal LM without a PEFT wrapper.
        processes: processes of this run.

    Returns:
        Whether the layers were compiled; where not, the reason is announced.
    """
    layers: Any = getattr(model.get_decoder(), "layers", None)
    reason = _reason_against(model, layers, processes)
    if reason:
        announce(f"optim.compile: {reason}; the layers run uncompiled")
        return False
    torch._functorch.config.activation_memory_budget = _KEPT
    for layer in layers:
        layer.compile(dynamic=True)
    use_products(model)
    announce(f"{len(layers)} decoder layers are compiled at the first step, which takes a minute or two")
    return True


def is_compiled(model: Any) -> bool:
    """Whether `compile_layers` compiled this model's layers."""
    layers = getattr(model.get_decoder(), "layers", None)
    return isinstance(layers, torch.nn.ModuleList) and len(layers) > 0 and layers[0]._compiled_call_impl is not None


def _reason_against(model: Any, layers: Any, processes: int) -> str | None:
    if next(model.parameters()).device.type != "cpu" or processes > 1:
        return "only a single CPU process uses it"
    if not isinstance(layers, torch.nn.ModuleList):
        return f"{type(model).__name__} has no list of layers"
    try:
        # torch finds out at the first call only whether a compiler and Python's headers are there.
        torch.compile(lambda x: x.exp() + 1)(torch.zeros(8))
    except RuntimeError as error:
        return f"torch.compile doesn't work here ({str(error).strip().splitlines()[0]})"
    return None
