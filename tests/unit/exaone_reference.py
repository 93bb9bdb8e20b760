"""EXAONE-3.5 in plain torch, written from its description, with its parameter names: what the loader is measured against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def unscaled(settings: Mapping[str, Any]) -> torch.Tensor:
    """By which angle each pair of a head's values turns per position, before any scaling."""
    steps = torch.arange(0, settings["head_dim"], 2, dtype=torch.float32) / settings["head_dim"]
    return 1 / settings["rope_theta"] ** steps


def turns(settings: Mapping[str, Any]) -> torch.Tensor:
    """How often each pair turns in the context that the model was first trained on."""
    return settings["rope_scaling"]["original_max_position_embeddings"] * unscaled(settings) / (2 * math.pi)


def frequencies(settings: Mapping[str, Any]) -> torch.Tensor:
    """By which angle each pair turns per position.

    The llama3 scaling is `apply_scaling` of Llama 3.1's reference implementation
    (https://github.com/meta-llama/llama-models, models/llama3/reference_impl/model.py): pairs that turn fewer than
    `low_freq_factor` times in the original context turn `factor` times slower, those that turn more than
    `high_freq_factor` times stay, and those between are interpolated by their number of turns.
    """
    plain, scaling = unscaled(settings), settings["rope_scaling"]
    if scaling is None or scaling["rope_type"] == "default":
        return plain
    assert scaling["rope_type"] == "llama3"
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept = ((turns(settings) - low) / (high - low)).clamp(0, 1)
    return kept * plain + (1 - kept) * plain / scaling["factor"]


def rotate(heads: torch.Tensor, frequency: torch.Tensor) -> torch.Tensor:
    """Turn (..., position, head, value): value i and value i + head_dim / 2 are a pair, as in GPT-NeoX."""
    angle = torch.arange(heads.shape[-3])[:, None, None] * frequency
    first, second = heads.chunk(2, dim=-1)
    turned = torch.complex(first, second) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat((turned.real, turned.imag), dim=-1)


class Norm(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x / (x.square().mean(-1, keepdim=True) + self.epsilon).sqrt()


class Attention(nn.Module):
    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.head_dim = settings["head_dim"]
        self.frequency = frequencies(settings)
        width, queries = settings["hidden_size"], settings["num_attention_heads"] * self.head_dim
        keys = settings["num_key_value_heads"] * self.head_dim
        self.q_proj = nn.Linear(width, queries, bias=False)
        self.k_proj = nn.Linear(width, keys, bias=False)
        self.v_proj = nn.Linear(width, keys, bias=False)
        self.out_proj = nn.Linear(queries, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (p(x).unflatten(-1, (-1, self.head_dim)) for p in (self.q_proj, self.k_proj, self.v_proj))
        query, key = rotate(query, self.frequency), rotate(key, self.frequency)
        groups = query.unflatten(-2, (key.shape[-2], -1))  # neighbouring query heads share a key head
        scores = torch.einsum("bqkgd,bskd->bkgqs", groups, key) / math.sqrt(self.head_dim)
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, -math.inf).softmax(-1)
        mixed: torch.Tensor = self.out_proj(torch.einsum("bkgqs,bskd->bqkgd", weights, value).flatten(2))
        return mixed


class AttentionOfLayer(nn.Module):
    """Nothing but a name: EXAONE's files say `attn.attention`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.attention = Attention(settings)


class Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.c_fc_0 = nn.Linear(width, inner, bias=False)
        self.c_fc_1 = nn.Linear(width, inner, bias=False)
        self.c_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.c_fc_0(x)
        out: torch.Tensor = self.c_proj(gate * gate.sigmoid() * self.c_fc_1(x))
        return out


class Layer(nn.Module):
    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        width, epsilon = settings["hidden_size"], settings["layer_norm_epsilon"]
        self.ln_1 = Norm(width, epsilon)
        self.attn = AttentionOfLayer(settings)
        self.ln_2 = Norm(width, epsilon)
        self.mlp = Mlp(width, settings["intermediate_size"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn.attention(self.ln_1(x))
        out: torch.Tensor = x + self.mlp(self.ln_2(x))
        return out


class Transformer(nn.Module):
    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.wte = nn.Embedding(settings["vocab_size"], settings["hidden_size"])
        self.h = nn.ModuleList(Layer(settings) for _ in range(settings["num_layers"]))
        self.ln_f = Norm(settings["hidden_size"], settings["layer_norm_epsilon"])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.wte(ids)
        for layer in self.h:
            x = layer(x)
        out: torch.Tensor = self.ln_f(x)
        return out


class ExaoneReference(nn.Module):
    """From the dict of EXAONE's config.json; its state dict is what EXAONE's weight files hold, `lm_head` only where untied."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.transformer = Transformer(settings)
        if not settings["tie_word_embeddings"]:
            self.lm_head = nn.Linear(settings["hidden_size"], settings["vocab_size"], bias=False)
        self.end = settings["eos_token_id"]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.transformer(ids)
        head = self.lm_head if hasattr(self, "lm_head") else self.transformer.wte
        return nn.functional.linear(hidden, head.weight)

    @torch.no_grad()
    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """The prompt with up to `count` most likely tokens after it, the end token being the last."""
        ids = list(prompt)
        while len(ids) < len(prompt) + count:
            ids.append(int(self(torch.tensor([ids]))[0, -1].argmax()))
            if ids[-1] == self.end:
                break
        return ids
