"""A key-value cache with room to grow, whose rows can be multiplied after they were computed once."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

_ROOM = 64  # positions added whenever the room is used up


class GrowingLayer(DynamicLayer):
    """Keys and values of one layer, [rows, heads, positions, head size], as views of larger tensors.

    transformers' own layer copies everything at every step; here a step writes its one column. All positions are kept, also
    those that a sliding window has left behind: the mask hides them.
    """

    _stored: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._stored is None or end > self._stored[0].shape[-2]:
            self._stored = _enlarged(self.keys, key_states, end), _enlarged(self.values, value_states, end)
        for stored, new in zip(self._stored, (key_states, value_states), strict=True):
            stored[:, :, start:end] = new
        self._show(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Rows in this order; a row may come several times."""
        if self._stored is not None:
            end = self.get_seq_length()
            keys, values = self._stored
            self._stored = keys.index_select(0, indices), values.index_select(0, indices)
            self._show(end)

    def _show(self, end: int) -> None:
        assert self._stored is not None
        self.keys, self.values = (x[:, :, :end] for x in self._stored)


def _enlarged(old: torch.Tensor, new: torch.Tensor, end: int) -> torch.Tensor:
    rows, heads, _, size = new.shape
    larger = new.new_empty(rows, heads, end + _ROOM, size)
    if old.numel():
        larger[:, :, : old.shape[-2]] = old
    return larger


def new_cache(config: Any) -> DynamicCache:
    """An empty cache of growing layers; of transformers' own where a layer is no plain or sliding attention.

    Args:
        config: the model's text config.
    """
    cache = DynamicCache(config=config)
    if _only_attends(config) and all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers):
        cache.layers = [GrowingLayer() for _ in cache.layers]
    return cache


def can_share_prefix(cache: DynamicCache, config: Any, length: int) -> bool:
    """Whether rows of up to `length` positions may have padding behind a common prefix.

    Masks count slots. Padding in the middle makes a row longer than it is, which no sliding window must notice.
    """
    grows = all(isinstance(layer, GrowingLayer) for layer in cache.layers)
    windows = "sliding_attention" in (getattr(config, "layer_types", None) or []) or getattr(config, "sliding_window", None)
    return grows and (not windows or config.sliding_window is None or length <= config.sliding_window)


def _only_attends(config: Any) -> bool:
    return set(getattr(config, "layer_types", None) or ["full_attention"]) <= {"full_attention", "sliding_attention"}
