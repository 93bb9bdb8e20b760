"""A language-model head that scores completion positions only, with the metrics that TRL's trainers read.

TRL 1.16 gives the model a fused head (`trl.trainer.utils.add_fused_lm_head`) and calls `model(..., labels=...,
fused_lm_head=True)`. On Triton devices that head skips ignored positions; elsewhere it projects every position of the
prompt through a vocabulary of up to 260k, and computes entropy and accuracy there too. Off Triton devices this head takes
its place: same call, same output class, same values on the positions that count.
"""

from __future__ import annotations

import functools
import types
from contextlib import nullcontext
from typing import Any

import torch
from trl.trainer.utils import FusedCausalLMOutput, maybe_gather_lm_head_ctx

from npc_align.modeling.compiled import is_compiled
from npc_align.modeling.shared_prompt import SharedRows, attention_masks_for, can_share_prompts, shared_rows
from npc_align.training.launch import announce

# Settings by which a model scales its logits (Cohere, Granite, HyperCLOVA X, Falcon-H1); TRL's head knows what each means.
_SCALED = ("logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
_TILE = 2048  # words of the vocabulary at a time: the logits of a few hundred rows then stay in a core's cache
_COMPILED_TILE = 16384  # compiled, a tile is read twice and written once, and larger products are faster


class _CompletionLogProbs(torch.autograd.Function):
    """log p(target) per row of `hidden @ weight.T`, its gradient to `hidden` prepared in the forward.

    A row's gradient is d log p / d hidden = weight[target] - softmax(logits) @ weight, scaled by what comes from above.
    Rows are independent, so that product can be made while the logits are there, and neither logits nor probabilities
    are kept. Only for a frozen head: `weight` gets no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        softcap: float | None,
        compiled: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        scores, jacobian = _score(hidden, weight, bias, targets, softcap, hidden.requires_grad, compiled)
        log_probs, entropy, mean_logits, is_top1 = scores
        ctx.save_for_backward(jacobian)
        ctx.mark_non_differentiable(entropy, mean_logits, is_top1)
        return log_probs, entropy, mean_logits, is_top1

    @staticmethod
    def backward(ctx: Any, grad_log_probs: torch.Tensor, *_: Any) -> tuple[torch.Tensor, None, None, None, None, None]:
        (jacobian,) = ctx.saved_tensors
        return grad_log_probs.unsqueeze(-1).to(jacobian.dtype) * jacobian, None, None, None, None, None


def _score(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    softcap: float | None,
    wants_grad: bool,
    compiled: bool,
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Log-probability, entropy, mean logit and top-1 hit of [n, hidden] states, each [n], and their [n, hidden] gradient rows.

    One pass over the vocabulary in tiles, with the running maximum of an online softmax (Milakov and Gimelshein 2018): what
    was summed before is scaled down whenever a larger logit turns up. The [n, vocabulary] logits never exist as a whole.
    """
    rows = hidden.shape[0]
    peak = hidden.new_full((rows,), -torch.inf, dtype=torch.float32)
    total, weighted, summed, target_logits = (hidden.new_zeros(rows, dtype=torch.float32) for _ in range(4))
    expected = hidden.new_zeros(hidden.shape if wants_grad else (rows, 0), dtype=torch.float32)
    fold, tile = (_compiled_fold(), _COMPILED_TILE) if compiled else (_fold, _TILE)
    for start in range(0, weight.shape[0], tile):
        words = weight[start : start + tile]
        logits = torch.nn.functional.linear(hidden, words, None if bias is None else bias[start : start + tile])
        sums = (peak, total, weighted, summed, target_logits)
        kept, slopes, peak, total, weighted, summed, target_logits = fold(logits, targets - start, softcap, *sums)
        if wants_grad:
            expected.mul_(kept.unsqueeze(-1)).add_(slopes @ words)
    log_z = peak + torch.log(total)
    scores = (target_logits - log_z, log_z - weighted / total, summed / weight.shape[0], target_logits >= peak)
    if not wants_grad:
        return scores, expected
    drawn = weight[targets].float()
    if softcap is not None:
        drawn *= _slope(target_logits, softcap).unsqueeze(-1)
    return scores, (drawn - expected / total.unsqueeze(-1)).to(hidden.dtype)


def _fold(
    logits: torch.Tensor,
    targets: torch.Tensor,
    softcap: float | None,
    peak: torch.Tensor,
    total: torch.Tensor,
    weighted: torch.Tensor,
    summed: torch.Tensor,
    target_logits: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    """One tile's [n, words] logits folded into what is known of each row: its largest logit, and, relative to that, sums.

    Args:
        targets: [n], within the tile where the word is one of its own, else outside of 0 .. words - 1.
        softcap: of the logits.
        peak, total, weighted, summed, target_logits: [n], of the tiles before.

    Returns:
        [n] by which sums of the tiles before shrink, [n, words] exponentials times d capped / d uncapped, and the five, continued.
    """
    dtype, logits = logits.dtype, logits.float()
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    here = targets.clamp(0, logits.shape[-1] - 1)
    found = logits.gather(-1, here.unsqueeze(-1)).squeeze(-1)
    target_logits = torch.where(here == targets, found, target_logits)
    higher = torch.maximum(peak, logits.amax(-1))
    kept = torch.exp(peak - higher)
    exponentials = torch.exp(logits - higher.unsqueeze(-1))
    total = total * kept + exponentials.sum(-1)
    weighted = weighted * kept + (exponentials * logits).sum(-1)
    summed = summed + logits.sum(-1)
    if softcap is not None:
        exponentials = exponentials * _slope(logits, softcap)
    return kept, exponentials.to(dtype), higher, total, weighted, summed, target_logits


@functools.cache
def _compiled_fold() -> Any:
    return torch.compile(_fold, dynamic=True)


def _slope(logits: torch.Tensor, softcap: float) -> torch.Tensor:
    """d capped / d uncapped, from the capped logits."""
    return 1 - (logits / softcap) ** 2


def use_completion_head(model: Any, *, share_prompts: bool = False) -> bool:
    """Put this head where TRL's trainer put its own, off Triton devices. Call it after the trainer is constructed.

    Args:
        model: the causal LM, without a PEFT wrapper, that `add_fused_lm_head` has patched.
        share_prompts: rows of a batch that have the same prompt (the two sides of a preference pair, the pairs of one prompt)
            go through the model as one row with that prompt once; where the model or a batch doesn't allow that, as they are.

    Returns:
        Whether the head was replaced: False on Triton devices, where the head itself is trained and where
            the model scales its logits, all of which TRL's serves.
    """
    from trl.trainer.utils import _use_triton

    head = model.get_output_embeddings()
    if _use_triton(next(model.parameters()).device) or head.weight.requires_grad:
        return False
    if getattr(model.config.get_text_config(), "output_router_logits", False):
        return False  # mixture-of-experts models need TRL's own forward, with its load-balancing loss
    if any(getattr(model.config.get_text_config(), name, None) not in (None, 1.0) for name in _SCALED):
        return False  # models that scale their logits need TRL's own
    if share_prompts and (reason := can_share_prompts(model)):
        announce(f"loss.share_prompts: {reason}; every row runs with its own prompt")
        share_prompts = False
    trl_forward = model.forward
    softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)

    @functools.wraps(trl_forward)
    def forward(
        self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, num_items_in_batch: Any = None, **kwargs: Any
    ) -> Any:
        if not fused_lm_head or "shift_labels" in kwargs:
            extra = {"labels": labels, "num_items_in_batch": num_items_in_batch}
            kwargs.update({k: v for k, v in extra.items() if v is not None})
            return trl_forward(*args, fused_lm_head=fused_lm_head, **kwargs)
        kwargs["use_cache"] = False
        shared = _shared(labels, kwargs) if share_prompts else None
        wants_grad, compiled = torch.is_grad_enabled(), self.training and is_compiled(self)
        # Layers that were compiled to train would be compiled once more for a pass without gradients: theirs are thrown away instead.
        with torch.set_grad_enabled(wants_grad or compiled):
            if shared is None:
                states = self.base_model(*args, **kwargs).last_hidden_state[:, :-1][labels[:, 1:] != -100]
            else:
                one_row = {
                    "input_ids": shared.input_ids,
                    "attention_mask": attention_masks_for(self, shared),
                    "position_ids": shared.position_ids,
                }
                states = self.base_model(**{**kwargs, **one_row}).last_hidden_state[shared.rows, shared.columns]
        states = states if wants_grad else states.detach()
        return _fused_output(states, labels[:, 1:], self.get_output_embeddings(), softcap, num_items_in_batch, compiled)

    model.forward = types.MethodType(forward, model)
    return True


def _shared(labels: torch.Tensor, inputs: dict[str, Any]) -> SharedRows | None:
    if "input_ids" not in inputs or "attention_mask" not in inputs:
        return None
    return shared_rows(inputs["input_ids"], inputs["attention_mask"], labels)


def _fused_output(
    states: torch.Tensor, labels: torch.Tensor, head: Any, softcap: float | None, num_items: Any, compiled: bool
) -> FusedCausalLMOutput:
    """TRL's output from the states that predict the labelled tokens, [N, hidden] in the labels' order."""
    mask = labels != -100
    device = states.device.type
    autocast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else head.weight.dtype
    with torch.autocast(device, enabled=False) if autocast else nullcontext(), maybe_gather_lm_head_ctx(head.weight, head.bias):
        weight = head.weight.to(dtype)
        bias = None if head.bias is None else head.bias.to(dtype)
        scored = _CompletionLogProbs.apply(states.to(dtype), weight, bias, labels[mask], softcap, compiled)
    # masked_scatter keeps an all-masked batch connected to the model, as TRL's head does.
    log_probs, entropy, mean_logits, is_top1 = (x.new_zeros(mask.shape).masked_scatter(mask, x) for x in scored)
    loss = -log_probs.sum() / (mask.sum().clamp(min=1) if num_items is None else num_items)
    return FusedCausalLMOutput(
        loss=loss, log_probs=log_probs, entropy=entropy, mean_logits=mean_logits, is_top1=is_top1, label_mask=mask
    )
