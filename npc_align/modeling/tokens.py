"""Prompt and completion to token ids and labels, with the guarantees that training and inference see the same thing.

Guaranteed for every example, or an error names it: the prompt's ids are exactly a prefix of prompt + completion; labels are
masked by position; the last label is the stop token, but of a line that was cut off; there is exactly one BOS where the model has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from npc_align.errors import UserError

IGNORED = -100


@dataclass(frozen=True)
class Tokens:
    """One tokenised example. `completion_ids` ends with the stop token if the line ended; `labels` aligns with prompt + completion."""

    prompt_ids: list[int]
    completion_ids: list[int]

    @property
    def input_ids(self) -> list[int]:
        return self.prompt_ids + self.completion_ids

    @property
    def labels(self) -> list[int]:
        return [IGNORED] * len(self.prompt_ids) + self.completion_ids


class PromptCodec:
    """Tokenises prompts and completions for one tokenizer and one renderer.

    Args:
        tokenizer: a transformers tokenizer.
        renderer: name of the prompt renderer. A chat template writes its own BOS and turn end; other prompts get the
            tokenizer's BOS and stop at its EOS.
        max_length: longest prompt + completion, in tokens.

    Raises:
        UserError: the tokenizer has no token to stop at, or no chat template for renderer `chat`.
    """

    def __init__(self, tokenizer: Any, renderer: str, max_length: int) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._templated = renderer == "chat"
        stop_id = _turn_end(tokenizer) if self._templated else tokenizer.eos_token_id
        if stop_id is None:
            raise UserError(
                "the tokenizer has no end-of-text token, so the model could never learn to stop; set tokenizer.eos_token"
            )
        self.stop_id: int = stop_id

    @property
    def stop_ids(self) -> list[int]:
        """Every id that ends a line: the trained stop token first, then the tokenizer's EOS."""
        return list(dict.fromkeys(i for i in (self.stop_id, self.tokenizer.eos_token_id) if i is not None))

    def prompt_ids(self, prompt: str, name: str = "the prompt") -> list[int]:
        """Ids of a prompt alone, as inference feeds them: [prompt tokens].

        Raises:
            UserError: longer than `max_length`, or not exactly one BOS.
        """
        ids = self._ids(prompt)
        if len(ids) >= self.max_length:
            raise UserError(
                f"{name}: the prompt has {len(ids)} tokens, and {self.max_length} leave no room for a line; raise data.max_length of the SFT run"
            )
        self._check_bos(ids, name)
        return ids

    def encode(self, prompt: str, completion: str, name: str = "the example", *, ended: bool = True) -> Tokens:
        """Ids and labels of one example.

        Args:
            ended: whether the line ends here. One that the length limit cut off gets no stop token: its author never said it.

        Raises:
            UserError: naming the example, for each guarantee of this module that it breaks.
        """
        prompt_ids = self.prompt_ids(prompt, name)
        whole = self._ids(prompt + completion)
        if whole[: len(prompt_ids)] != prompt_ids:
            raise UserError(
                f"{name}: the prompt's tokens are no prefix of prompt + completion (tokens merge across the border), so training "
                "would see another prompt than inference; end the prompt on a token border"
            )
        completion_ids = whole[len(prompt_ids) :]
        if not completion_ids:
            raise UserError(f"{name}: the line is empty, every label would be masked")
        if self.stop_id in completion_ids:
            raise UserError(f"{name}: the line contains the stop token itself")
        tokens = Tokens(prompt_ids, [*completion_ids, *([self.stop_id] if ended else [])])
        if len(tokens.input_ids) > self.max_length:
            raise UserError(
                f"{name}: {len(tokens.input_ids)} tokens, more than {self.max_length}; shorten the line or leave it out, or raise data.max_length of the SFT run"
            )
        self._check_bos(tokens.input_ids, name)
        return tokens

    def _ids(self, text: str) -> list[int]:
        # Special tokens are placed here, not by the tokenizer's post-processor, which may append an EOS to every text.
        ids = list(self.tokenizer(text, add_special_tokens=False).input_ids)
        bos = self.tokenizer.bos_token_id
        return ids if self._templated or bos is None or ids[:1] == [bos] else [bos, *ids]

    def _check_bos(self, ids: list[int], name: str) -> None:
        bos = self.tokenizer.bos_token_id
        expects = bos is not None and not (self._templated and bos not in ids)
        if expects and bos != self.tokenizer.eos_token_id and (ids.count(bos) != 1 or ids[0] != bos):
            raise UserError(f"{name}: {ids.count(bos)} BOS tokens where exactly one must stand first")

    def preview(self, tokens: Tokens) -> str:
        """A table of position, id, text and label, for `--preview`."""
        rows = ["position      id  text                 label"]
        for i, (token, label) in enumerate(zip(tokens.input_ids, tokens.labels, strict=True)):
            shown = repr(self.tokenizer.decode([token]))
            rows.append(f"{i:8d} {token:7d}  {shown:<20} {'-' if label == IGNORED else label}")
        return "\n".join(rows)


def _turn_end(tokenizer: Any) -> int | None:
    """The token with which the chat template ends an assistant's turn."""
    if not tokenizer.chat_template:
        raise UserError(
            "renderer 'chat' needs a tokenizer with a chat template and this one has none; set data.renderer=user_assistant"
        )
    marker = "가나다"
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": marker}]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    tail = text[text.rindex(marker) + len(marker) :].lstrip()
    ids = tokenizer(tail, add_special_tokens=False).input_ids
    return ids[0] if ids else tokenizer.eos_token_id
