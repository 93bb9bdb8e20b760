"""Lines behind one prompt in one row: the prompt once, then every distinct line, none of which sees another.

A DPO batch runs every prompt twice, and a greeting's prompt is three times as long as its completion. Here the row is
`prompt chosen rejected`, or `prompt chosen rejected rejected` where a prompt has several pairs and one chosen line; each line
takes the positions that it would have right after the prompt, and attends to the prompt and to itself. Every token's state is
that of the separate rows, up to rounding. What comes out is in the order of the separate rows, so each pair keeps its weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from npc_align.modeling.attention import PRODUCTS

_PADDING = -1
# Batches are as wide as a multiple of this: on a CPU every new number of positions costs oneDNN's kernels 28 MB, which it keeps, and
# a quarter of a second (Gemma-3-270M).
MULTIPLE = 8


@dataclass(frozen=True)
class SharedRows:
    """G rows of one prompt each, L tokens wide, and where the state is that predicts each completion token.

    Attributes:
        input_ids: [G, L].
        position_ids: [G, L].
        attends: [G, 1, L, L] bool; True where a query (second last axis) may look at a key.
        rows, columns: [N] indices of the states, in the order of the labels of the separate rows, row by row.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    attends: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor


def can_share_prompts(model: Any) -> str | None:
    """Why a model can't take shared rows, or None where it can: rotary positions, and attention that takes any mask."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not kinds <= {"full_attention", "sliding_attention"}:
        return f"{type(model).__name__} has layers that aren't attention over a mask"
    if getattr(config, "rope_parameters", None) is None:
        return f"{type(model).__name__} has no rotary positions"
    if config._attn_implementation not in ("sdpa", "eager", PRODUCTS):
        return f"attention {config._attn_implementation} takes no mask of its own"
    return None


def shared_rows(input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor) -> SharedRows | None:
    """A batch of R rows with every prompt once; None where no two rows have one, or a row isn't prompt, completion, padding.

    Args:
        input_ids: [R, T].
        attention_mask: [R, T], 1 on tokens.
        labels: [R, T], -100 on prompt and padding.
    """
    lengths, starts = attention_mask.sum(1).tolist(), (labels != -100).int().argmax(1).tolist()
    if not _are_completions(attention_mask, labels, lengths, starts):
        return None
    # Prompt -> completion -> column of its first token: the same line twice behind a prompt is one segment.
    groups: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
    rows, columns = [], []
    for ids, start, length in zip(input_ids.tolist(), starts, lengths, strict=True):
        prompt, completion = tuple(ids[:start]), tuple(ids[start:length])
        segments = groups.setdefault(prompt, {})
        first = segments.setdefault(completion, len(prompt) + sum(map(len, segments)))
        rows += [list(groups).index(prompt)] * len(completion)
        columns += [start - 1, *range(first, first + len(completion) - 1)]
    if len(groups) == len(input_ids):
        return None
    ids, positions, segments_of = _laid_out(groups)
    device = input_ids.device
    return SharedRows(
        ids.to(device),
        positions.to(device),
        _attends(segments_of).to(device),
        torch.tensor(rows, device=device),
        torch.tensor(columns, device=device),
    )


def _laid_out(
    groups: dict[tuple[int, ...], dict[tuple[int, ...], int]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, positions and segment numbers, each [G, L]: the prompt is segment 0, its completions follow, padding is -1."""
    width = max(len(prompt) + sum(map(len, segments)) for prompt, segments in groups.items())
    width += -width % MULTIPLE
    ids, positions = torch.zeros(len(groups), width, dtype=torch.long), torch.zeros(len(groups), width, dtype=torch.long)
    numbers = torch.full((len(groups), width), _PADDING)
    for row, (prompt, segments) in enumerate(groups.items()):
        for number, (part, first, place) in enumerate([(prompt, 0, 0), *((c, at, len(prompt)) for c, at in segments.items())]):
            span = slice(first, first + len(part))
            ids[row, span], numbers[row, span] = torch.tensor(part), number
            positions[row, span] = torch.arange(place, place + len(part))
    return ids, positions, numbers


def _attends(segments: torch.Tensor) -> torch.Tensor:
    """[G, 1, L, L]: what lies before in the prompt or in one's own segment."""
    keys, queries = segments[:, None, None, :], segments[:, None, :, None]
    causal = torch.ones(segments.shape[1], segments.shape[1], dtype=torch.bool).tril()
    return causal & ((keys == 0) | (keys == queries))


def _are_completions(attention_mask: torch.Tensor, labels: torch.Tensor, lengths: list[int], starts: list[int]) -> bool:
    places = torch.arange(labels.shape[1], device=labels.device)
    tokens = places < torch.tensor(lengths, device=places.device).unsqueeze(1)
    completions = tokens & (places >= torch.tensor(starts, device=places.device).unsqueeze(1))
    return (
        min(starts, default=0) > 0
        and bool((attention_mask.bool() == tokens).all())
        and bool(((labels != -100) == completions).all())
    )


def attention_masks_for(model: Any, shared: SharedRows) -> torch.Tensor | dict[str, torch.Tensor]:
    """The shared rows' mask in the form that the model's attention takes as it is: additive for eager, else bool.

    Returns:
        One mask for all layers, or, where a sliding window cuts something off, one per kind of layer, as transformers'
        `create_masks_for_generate` has them: a model without kinds of layers slides in all of them.
    """
    config = model.config.get_text_config()
    window, kinds = getattr(config, "sliding_window", None), getattr(config, "layer_types", None)
    if window is None or int(shared.position_ids.max()) < window or "sliding_attention" not in (kinds or ["sliding_attention"]):
        return _as_taken(model, shared.attends)
    # By positions, not columns: a line's tokens are as far from the prompt's as if the lines before it weren't there.
    near = shared.position_ids[:, None, None, :] > shared.position_ids[:, None, :, None] - window
    slid = _as_taken(model, shared.attends & near)
    return {"full_attention": _as_taken(model, shared.attends), "sliding_attention": slid} if kinds else slid


def _as_taken(model: Any, attends: torch.Tensor) -> torch.Tensor:
    if model.config.get_text_config()._attn_implementation != "eager":
        return attends
    dtype = model.get_input_embeddings().weight.dtype
    return torch.zeros(attends.shape, dtype=dtype, device=attends.device).masked_fill_(~attends, torch.finfo(dtype).min)
