"""A preference pair in one row: the prompt once, then both completions, neither of which sees the other.

A DPO batch runs every prompt twice, and a greeting's prompt is three times as long as its completion. Here the row is
`prompt chosen rejected`; the rejected completion takes the positions that it would have right after the prompt, and attends
to the prompt and to itself. Every token's state is that of the two separate rows, up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class PackedPairs:
    """Rows of B pairs, L tokens wide, and where the state is that predicts each completion token.

    Attributes:
        input_ids: [B, L].
        position_ids: [B, L].
        attends: [B, 1, L, L] bool; True where a query (second last axis) may look at a key.
        rows, columns: [N] indices of the states, in the order of the labels of the unpacked batch, row by row.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    attends: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor


def can_share_prompts(model: Any) -> str | None:
    """Why a model can't take packed pairs, or None where it can: rotary positions, and attention that takes any mask."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not kinds <= {"full_attention", "sliding_attention"}:
        return f"{type(model).__name__} has layers that aren't attention over a mask"
    if getattr(config, "rope_parameters", None) is None:
        return f"{type(model).__name__} has no rotary positions"
    if config._attn_implementation not in ("sdpa", "eager"):
        return f"attention {config._attn_implementation} takes no mask of its own"
    return None


def pack_pairs(input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor) -> PackedPairs | None:
    """TRL's batch of B chosen rows over B rejected rows, packed; None where it isn't pairs of one prompt, padded on the right.

    Args:
        input_ids: [2B, T].
        attention_mask: [2B, T], 1 on tokens.
        labels: [2B, T], -100 on prompt and padding.
    """
    count, rest = divmod(len(input_ids), 2)
    lengths, starts = attention_mask.sum(1).tolist(), (labels != -100).int().argmax(1).tolist()
    if rest or not count or not _is_paired(input_ids, attention_mask, labels, lengths, starts):
        return None
    width = max(lengths[i] + lengths[count + i] - starts[i] for i in range(count))
    ids, positions = input_ids.new_zeros(count, width), input_ids.new_zeros(count, width)
    attends = torch.ones(width, width, dtype=torch.bool, device=ids.device).tril().repeat(count, 1, 1, 1)
    rows, columns = [], []
    for i in range(count):
        prompt, chosen, rejected = starts[i], lengths[i], lengths[count + i]
        end = chosen + rejected - prompt
        ids[i, :chosen], ids[i, chosen:end] = input_ids[i, :chosen], input_ids[count + i, prompt:rejected]
        positions[i, :chosen] = torch.arange(chosen)
        positions[i, chosen:end] = torch.arange(prompt, rejected)
        attends[i, 0, :, end:] = False
        attends[i, 0, chosen:, prompt:chosen] = False
        rows.append(torch.full((chosen - prompt,), i))
        columns.append(torch.arange(prompt - 1, chosen - 1))
    for i in range(count):
        prompt, chosen, rejected = starts[i], lengths[i], lengths[count + i]
        rows.append(torch.full((rejected - prompt,), i))
        # The first rejected token follows the prompt's last one, which chosen's first token follows as well.
        columns += [torch.tensor([prompt - 1]), torch.arange(chosen, chosen + rejected - prompt - 1)]
    return PackedPairs(ids, positions, attends, torch.cat(rows).to(ids.device), torch.cat(columns).to(ids.device))


def _is_paired(
    input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, lengths: list[int], starts: list[int]
) -> bool:
    count = len(input_ids) // 2
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    tokens = places < torch.tensor(lengths, device=places.device).unsqueeze(1)
    completions = tokens & (places >= torch.tensor(starts, device=places.device).unsqueeze(1))
    return (
        min(starts) > 0
        and starts[:count] == starts[count:]
        and bool((attention_mask.bool() == tokens).all())
        and bool(((labels != -100) == completions).all())
        and all(torch.equal(input_ids[i, : starts[i]], input_ids[count + i, : starts[i]]) for i in range(count))
    )


def attention_mask_for(model: Any, packed: PackedPairs) -> torch.Tensor:
    """The packed rows' mask in the form that the model's attention takes as it is: bool for sdpa, additive for eager."""
    if model.config.get_text_config()._attn_implementation == "sdpa":
        return packed.attends
    dtype = model.get_input_embeddings().weight.dtype
    return torch.zeros(packed.attends.shape, dtype=dtype, device=packed.attends.device).masked_fill_(
        ~packed.attends, torch.finfo(dtype).min
    )


def fits_window(model: Any, packed: PackedPairs) -> bool:
    """Whether no sliding layer would have cut anything off: the mask is one for all layers."""
    config = model.config.get_text_config()
    if "sliding_attention" not in (getattr(config, "layer_types", None) or []):
        return True
    return int(packed.position_ids.max()) < config.sliding_window
