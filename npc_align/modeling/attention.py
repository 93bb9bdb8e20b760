"""Attention of short rows as plain products, for compiled CPU training.

PyTorch's flash attention for CPUs is made for long rows: on rows of about 120 tokens it runs at a tenth of the speed of the matrix
products around it. Written as two products and a softmax, the compiler fuses mask, scale and softmax, forward and backward.
"""

from __future__ import annotations

from typing import Any

import torch

PRODUCTS = "npc_align_products"
_LONGEST = 512  # tokens; the probabilities that are kept for the backward grow with the square


def use_products(model: Any) -> bool:
    """Let a model that attends by sdpa take plain products where gradients are wanted. It stays sdpa everywhere else.

    Returns:
        Whether the model was switched: only one that attends by sdpa is.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if model.config.get_text_config()._attn_implementation != "sdpa":
        return False
    AttentionInterface.register(PRODUCTS, attend)
    AttentionMaskInterface.register(PRODUCTS, sdpa_mask)
    model.set_attn_implementation(PRODUCTS)
    return True


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """transformers' attention function, with the masks and the result of its sdpa: [rows, tokens, heads, head size].

    Args:
        module: the attention layer.
        query: [rows, heads, tokens, head size].
        key: [rows, key heads, tokens, head size].
        value: as `key`.
        attention_mask: [rows or 1, 1, tokens, tokens] bool, True where a query may look; None for causal.
        dropout: of the probabilities; sdpa's, where there is any.
        scaling: of the scores.
        kwargs: what else sdpa takes.
    """
    length, size = query.shape[-2:]
    short = length == key.shape[-2] and length <= _LONGEST
    if not torch.is_grad_enabled() or not short or dropout or kwargs.get("position_bias") is not None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    # The query heads of one key head are so many more queries of it: keys and values needn't be repeated.
    grouped = query.reshape(query.shape[0], key.shape[1], -1, size)
    scores = torch.matmul(grouped, key.transpose(-1, -2)).reshape(*query.shape[:-1], length)
    if attention_mask is None:
        attention_mask = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    scores = scores.float() * (size**-0.5 if scaling is None else scaling)
    scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1).to(value.dtype).reshape(*grouped.shape[:-1], length)
    attended = torch.matmul(weights, value).reshape(query.shape)
    return attended.transpose(1, 2).contiguous(), None
