"""Attributes to prompt text: the one renderer that training, sampling, evaluation and chat all use.

Training and inference must see the same prompt to the byte, so a renderer has a name, the name travels in the adapter
folder, and with it a hash of its output on a fixed example: whoever loads the adapter can tell that nothing moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from npc_align.domain import Domain
from npc_align.errors import UserError


def body(attributes: Mapping[str, Any], domain: Domain) -> str:
    """One `key: value` per line in the domain's order; an attribute that isn't set is left out."""
    return "\n".join(
        f"{attribute.prompt_key}: {attribute.labels[attributes[attribute.key]]}"
        for attribute in domain.attributes
        if attribute.key in attributes
    )


def _user_assistant(message: str, tokenizer: Any) -> str:
    return f"### User:\n{message}\n\n### Assistant:\n"


def _chat(message: str, tokenizer: Any) -> str:
    if tokenizer is None or not getattr(tokenizer, "chat_template", None):
        raise UserError(
            "renderer 'chat' needs a tokenizer with a chat template and this one has none; set data.renderer=user_assistant"
        )
    messages = [{"role": "user", "content": message}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


RENDERERS: dict[str, Callable[[str, Any], str]] = {
    "user_assistant": _user_assistant,
    "chat": _chat,
}


def render(attributes: Mapping[str, Any], domain: Domain, renderer: str = "user_assistant", tokenizer: Any = None) -> str:
    """The prompt of these attributes.

    Args:
        attributes: flat mapping of attribute to value; unset ones are absent.
        domain: the game's world.
        renderer: a name in `RENDERERS`.
        tokenizer: needed by `chat` only, whose template it brings.

    Raises:
        UserError: unknown renderer, or `chat` without a chat template.
    """
    return render_message(body(attributes, domain), renderer, tokenizer)


def render_message(message: str, renderer: str = "user_assistant", tokenizer: Any = None) -> str:
    """The prompt of a message in anybody's words, as `render` wraps the attributes.

    Raises:
        UserError: as `render`.
    """
    if renderer not in RENDERERS:
        raise UserError(f"unknown renderer {renderer!r}; there are: {', '.join(RENDERERS)}")
    return RENDERERS[renderer](message, tokenizer)


def fingerprint(domain: Domain, renderer: str, tokenizer: Any = None) -> str:
    """Hash of the renderer's output on a fixed example: every attribute at its first value."""
    example = {a.key: next(iter(a.labels)) for a in domain.attributes}
    return hashlib.sha256(render(example, domain, renderer, tokenizer).encode()).hexdigest()[:16]
