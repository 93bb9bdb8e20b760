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

# Settings by which a model scales its logits (Cohere, Granite, HyperCLOVA X, Falcon-H1); TRL's head knows what each means.
_SCALED = ("logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
_ROWS = 384  # rows of logits held at once: 384 x 262,144 float32 is 400 MB


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
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        wants_grad = hidden.requires_grad
        # Even parts: each reads the whole head twice, so a small remainder would cost almost as much as a full part.
        count = max(1, -(-hidden.shape[0] // _ROWS))
        pieces = zip(hidden.tensor_split(count), targets.tensor_split(count), strict=True)
        parts = [_score(states, weight, bias, wanted, softcap, wants_grad) for states, wanted in pieces]
        log_probs, entropy, mean_logits, is_top1, jacobian = (torch.cat(column) for column in zip(*parts, strict=True))
        ctx.save_for_backward(jacobian)
        ctx.mark_non_differentiable(entropy, mean_logits, is_top1)
        return log_probs, entropy, mean_logits, is_top1

    @staticmethod
    def backward(ctx: Any, grad_log_probs: torch.Tensor, *_: Any) -> tuple[torch.Tensor, None, None, None, None]:
        (jacobian,) = ctx.saved_tensors
        return grad_log_probs.unsqueeze(-1).to(jacobian.dtype) * jacobian, None, None, None, None


def _score(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    softcap: float | None,
    wants_grad: bool,
) -> tuple[torch.Tensor, ...]:
    """Log-probability, entropy, mean logit, top-1 hit and gradient rows of [n, hidden] states; all but the last are [n].

    Written to pass over the [n, vocabulary] logits as few times as it can: they don't fit the caches.
    """
    logits = torch.nn.functional.linear(hidden, weight, bias).float()
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    peak = logits.amax(-1)
    exponentials = torch.sub(logits, peak.unsqueeze(-1)).exp_()
    total = exponentials.sum(-1)
    log_z = peak + torch.log(total)
    expected = torch.linalg.vecdot(exponentials, logits) / total
    target_logits = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    is_top1 = target_logits >= peak
    scores = (target_logits - log_z, log_z - expected, logits.mean(-1), is_top1)
    if not wants_grad:
        return *scores, hidden.new_zeros(hidden.shape[0], 0)
    drawn = weight[targets].float()
    if softcap is not None:
        slope = 1 - (logits / softcap) ** 2
        drawn = drawn * slope.gather(-1, targets.unsqueeze(-1))
        exponentials *= slope
    jacobian = drawn - (exponentials.to(weight.dtype) @ weight).float() / total.unsqueeze(-1)
    return *scores, jacobian.to(hidden.dtype)


def use_completion_head(model: torch.nn.Module) -> bool:
    """Put this head where TRL's trainer put its own, off Triton devices. Call it after the trainer is constructed.

    Args:
        model: the causal LM, without a PEFT wrapper, that `add_fused_lm_head` has patched.

    Returns:
        Whether the head was replaced: False on Triton devices, where the head itself is trained and where
            the model scales its logits, all of which TRL's serves.
    """
    from trl.trainer.utils import _use_triton

    head = model.get_output_embeddings()  # type: ignore[operator]
    if _use_triton(next(model.parameters()).device) or head.weight.requires_grad:
        return False
    if getattr(model.config.get_text_config(), "output_router_logits", False):  # type: ignore[union-attr, operator]
        return False  # mixture-of-experts models need TRL's own forward, with its load-balancing loss
    if any(getattr(model.config.get_text_config(), name, None) not in (None, 1.0) for name in _SCALED):  # type: ignore[union-attr, operator]
        return False  # models that scale their logits need TRL's own
    trl_forward = model.forward
    softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)  # type: ignore[union-attr, operator]

    @functools.wraps(trl_forward)
    def forward(
        self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, num_items_in_batch: Any = None, **kwargs: Any
    ) -> Any:
        if not fused_lm_head or "shift_labels" in kwargs:
            extra = {"labels": labels, "num_items_in_batch": num_items_in_batch}
            kwargs.update({k: v for k, v in extra.items() if v is not None})
            return trl_forward(*args, fused_lm_head=fused_lm_head, **kwargs)
        kwargs["use_cache"] = False
        states = self.base_model(*args, **kwargs).last_hidden_state[:, :-1]
        return _fused_output(states, labels[:, 1:], self.get_output_embeddings(), softcap, num_items_in_batch)

    model.forward = types.MethodType(forward, model)
    return True


def _fused_output(
    states: torch.Tensor, labels: torch.Tensor, head: Any, softcap: float | None, num_items: Any
) -> FusedCausalLMOutput:
    mask = labels != -100
    device = states.device.type
    autocast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else head.weight.dtype
    with torch.autocast(device, enabled=False) if autocast else nullcontext(), maybe_gather_lm_head_ctx(head.weight, head.bias):
        weight = head.weight.to(dtype)
        bias = None if head.bias is None else head.bias.to(dtype)
        scored = _CompletionLogProbs.apply(states[mask].to(dtype), weight, bias, labels[mask], softcap)
    # masked_scatter keeps an all-masked batch connected to the model, as TRL's head does.
    log_probs, entropy, mean_logits, is_top1 = (x.new_zeros(mask.shape).masked_scatter(mask, x) for x in scored)
    loss = -log_probs.sum() / (mask.sum().clamp(min=1) if num_items is None else num_items)
    return FusedCausalLMOutput(
        loss=loss, log_probs=log_probs, entropy=entropy, mean_logits=mean_logits, is_top1=is_top1, label_mask=mask
    )
