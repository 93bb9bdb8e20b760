"""Lines from prompts. Default decoding means greedy with nothing but stop ids, pad and bos in the generation config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from npc_align.errors import UserError
from npc_align.modeling.tokens import PromptCodec

_CROWDED = 0.75  # a batch is thinned out when no more than this share of its rows is still speaking: thinning copies the cache
_USUAL_LENGTH = 256  # tokens of prompt and line: a batch holds no more positions than its size times this
_ALIKE = 16  # prompts whose lengths differ by less than this many tokens may share a batch for their common beginning's sake
_BRANCHED = 1.5  # common beginnings get a level of their own where the next token multiplies them by more than this
DECODING_KEYS = (
    "do_sample", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "repetition_window", "temperature_last",
)  # fmt: skip


@dataclass(frozen=True)
class Decoding:
    """How to decode. `knobs` holds what a user set besides; empty is default decoding."""

    name: str = "default"
    max_new_tokens: int = 64
    knobs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.knobs) - set(DECODING_KEYS)
        if unknown:
            raise UserError(
                f"decoding {self.name}: unknown key {', '.join(sorted(unknown))}; there are: {', '.join(DECODING_KEYS)}"
            )


@dataclass(frozen=True)
class Line:
    """A generated line. `finished`: the model ended it itself, rather than running into max_new_tokens."""

    text: str
    finished: bool


def default_generation_config(codec: PromptCodec) -> Any:
    """The generation config of default decoding: stop ids, pad and bos, nothing else.

    It replaces the model's own. `generate(generation_config=GenerationConfig())` would still inherit what the model ships
    (`transformers.GenerationMixin._prepare_generation_config`).
    """
    from transformers import GenerationConfig

    return GenerationConfig(
        eos_token_id=codec.stop_ids, pad_token_id=codec.tokenizer.pad_token_id, bos_token_id=codec.tokenizer.bos_token_id
    )


# Not inference_mode: ZeRO-3 gathers weights in here that training goes on with.
@torch.no_grad()
def generate_lines(
    model: Any,
    codec: PromptCodec,
    prompts: Sequence[str],
    decoding: Decoding | None = None,
    *,
    batch_size: int = 32,
    seed: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Line]:
    """One line per prompt, in order: what `model.generate` says with `default_generation_config`, without what it wastes.

    Lines of a batch end at different times, and `generate` goes on with every row until the last one has ended; here ended
    rows leave the batch. What several prompts of a batch have in common is computed once: equal prompts, and the beginning of
    all of them. What the model ships as generation config plays no part.

    Args:
        model: a causal LM with a key-value cache.
        codec: the tokenizer and its renderer.
        prompts: rendered prompts.
        decoding: default decoding where None.
        batch_size: prompts per batch as long as prompt and line come to at most 256 tokens, what is longer in smaller batches;
            prompts are sorted by length first, so that little is padded.
        seed: makes sampled lines reproducible.
        progress: called with the number of prompts just done.
    """
    decoding = decoding or Decoding()
    encoded = [codec.prompt_ids(prompt, f"prompt {i + 1}") for i, prompt in enumerate(prompts)]
    lines: list[Line | None] = [None] * len(prompts)
    # The last position of every row, cut out of the prefill's states, isn't contiguous: PyTorch's CPU linear then copies the whole
    # head once per row (43 GB at 128 rows of a 262k vocabulary) or falls back to a product that takes minutes.
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, states: (states[0].contiguous(), *states[1:]))
    try:
        if seed is not None:
            torch.manual_seed(seed)
        for batch in _batches(encoded, batch_size, decoding.max_new_tokens):
            for index, ids in zip(batch, _decode(model, codec, [encoded[i] for i in batch], decoding), strict=True):
                lines[index] = _line(codec, ids)
            if progress:
                progress(len(batch))
    finally:
        hook.remove()
    return [line for line in lines if line is not None]


def _batches(prompts: Sequence[Sequence[int]], batch_size: int, max_new_tokens: int) -> list[list[int]]:
    """Indices of prompts, shorter ones first, at most `batch_size` rows and `batch_size` x 256 positions to a batch."""
    # Among prompts of about one length, those that begin alike stand together: what they share is computed once.
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]) // _ALIKE, tuple(prompts[i])))
    batches: list[list[int]] = []
    longest = 0
    for index in order:
        longest = max(longest, len(prompts[index]))
        rows = max(1, min(batch_size, batch_size * _USUAL_LENGTH // (longest + max_new_tokens)))
        if not batches or len(batches[-1]) >= rows:
            batches.append([])
        batches[-1].append(index)
    return batches


@dataclass
class _Rows:
    """The rows that are still in the batch.

    Attributes:
        prompts: [rows], which prompt each belongs to.
        history: [rows, tokens so far], padded on the left.
        mask: [rows, positions in the cache], 0 on padding.
        positions: [rows, 1], of the last token.
        running: [rows], False where the line has ended.
    """

    prompts: torch.Tensor
    history: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    running: torch.Tensor

    def append(self, tokens: torch.Tensor) -> None:
        self.history = torch.cat([self.history, tokens.unsqueeze(1)], dim=1)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        self.positions = self.positions + 1

    def thin_out(self, cache: Any) -> None:
        """Ended rows leave, once they are many enough to be worth a copy of the cache."""
        if self.running.sum() <= _CROWDED * len(self.running):
            kept = self.running.nonzero().squeeze(1)
            cache.batch_select_indices(kept)
            for name, value in vars(self).items():
                setattr(self, name, value[kept])


def _decode(model: Any, codec: PromptCodec, prompts: Sequence[Sequence[int]], decoding: Decoding) -> list[list[int]]:
    """New ids per prompt, the stop id included where the model came to one."""
    from npc_align.modeling.growing_cache import new_cache
    from npc_align.modeling.sampling import TokenPicker

    cache = new_cache(model.config.get_text_config())
    pick = TokenPicker(decoding.knobs)
    logits, rows = _prefill(model, cache, prompts, codec.tokenizer.pad_token_id, decoding.max_new_tokens)
    stops = torch.tensor(codec.stop_ids, device=logits.device)
    spoken: list[list[int]] = [[] for _ in prompts]
    for step in range(decoding.max_new_tokens):
        if step:
            logits = _forward(model, cache, rows.history[:, -1:], rows.mask, rows.positions)
        tokens = pick(rows.history, logits)
        for prompt, token, still in zip(rows.prompts.tolist(), tokens.tolist(), rows.running.tolist(), strict=True):
            if still:
                spoken[prompt].append(token)
        rows.running &= ~torch.isin(tokens, stops)
        if not rows.running.any():
            break
        rows.append(tokens)
        rows.thin_out(cache)
    return spoken


def _prefill(
    model: Any, cache: Any, prompts: Sequence[Sequence[int]], pad: int, max_new_tokens: int
) -> tuple[torch.Tensor, _Rows]:
    """Fill the cache with one row per prompt; what prompts share goes through the model once, equal prompts too.

    Returns:
        The logits behind each prompt, and the rows.
    """
    from npc_align.modeling.growing_cache import can_share_prefix

    device = next(model.parameters()).device
    distinct = list(dict.fromkeys(tuple(p) for p in prompts))
    width = max(map(len, distinct))
    shares = can_share_prefix(cache, model.config.get_text_config(), width + max_new_tokens)
    shared = _run_prefixes(model, cache, distinct, device) if shares else 0
    padding = [width - len(p) for p in distinct]
    fed = torch.tensor([[pad] * n + list(p[shared:]) for n, p in zip(padding, distinct, strict=True)], device=device)
    mask = torch.tensor([[1] * shared + [0] * n + [1] * (width - shared - n) for n in padding], device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = _forward(model, cache, fed, mask, positions[:, shared:])
    places = {prompt: i for i, prompt in enumerate(distinct)}
    source = torch.tensor([places[tuple(p)] for p in prompts], device=device)
    if len(distinct) < len(prompts):
        cache.batch_select_indices(source)
    history = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=device)
    everyone = torch.arange(len(prompts), device=device)
    running = torch.ones(len(prompts), dtype=torch.bool, device=device)
    return logits[source], _Rows(everyone, history, mask[source], positions[source, -1:], running)


def _run_prefixes(model: Any, cache: Any, prompts: Sequence[tuple[int, ...]], device: torch.device) -> int:
    """Run the tree of common beginnings level by level, each distinct one once; the cache ends with one row per prompt.

    Returns:
        Tokens of each prompt that the cache now holds.
    """
    start = 0
    rows: dict[tuple[int, ...], int] = {}
    for end in [*_levels(prompts), None]:
        prefixes = list(dict.fromkeys(p[:end] for p in prompts))
        if start:
            cache.batch_select_indices(torch.tensor([rows[p[:start]] for p in prefixes], device=device))
        if end is None:
            break
        fed = torch.tensor([p[start:] for p in prefixes], device=device)
        positions = torch.arange(start, end, device=device).expand(len(prefixes), -1)
        _forward(model, cache, fed, torch.ones(len(prefixes), end, dtype=torch.long, device=device), positions)
        start, rows = end, {p: i for i, p in enumerate(prefixes)}
    return start


def _levels(prompts: Sequence[tuple[int, ...]]) -> list[int]:
    """Depths at which the tree of the prompts' beginnings branches out enough for a level of its own."""
    # Each prompt keeps one token of its own at least, whose logits are wanted.
    counts = [len({p[:depth] for p in prompts}) for depth in range(1, min(map(len, prompts)))]
    levels: list[int] = []
    rows = counts[0] if counts else len(prompts)
    for depth, branches in enumerate([*counts[1:], len(prompts)], start=1):
        if branches > _BRANCHED * rows:
            levels.append(depth)
            rows = branches
    return levels


def _forward(model: Any, cache: Any, fed: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """[rows, vocabulary] logits behind the last of the fed tokens."""
    output = model(
        input_ids=fed, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
    )
    logits: torch.Tensor = output.logits[:, -1]
    return logits


def _line(codec: PromptCodec, ids: list[int]) -> Line:
    finished = bool(ids) and ids[-1] in codec.stop_ids
    text = codec.tokenizer.decode(ids[:-1] if finished else ids, skip_special_tokens=True)
    return Line(text.strip(), finished)
