"""What the model reads and learns: prompt ids, labels, stop token, BOS; and that a broken guarantee stops with the example's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.modeling.load import load_tokenizer
from npc_align.modeling.tokens import IGNORED, PromptCodec
from npc_align.prompt import render

PROMPT = "### User:\n성격: 존칭형\n\n### Assistant:\n"
LINES = ("어서 오십시오.", "3일 만이네요!", " 앞에 빈칸", "A급 의뢰", "…음")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


@pytest.fixture
def chat_tokenizer(tokenizer: Any) -> Any:
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    return tokenizer


def merging_tokenizer() -> Any:
    """Characters x, a, b, and `ab` as one token."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {name: i for i, name in enumerate(("<eos>", "x", "a", "b", "ab"))}
    model = models.BPE(vocab=vocabulary, merges=[("a", "b")])
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), eos_token="<eos>")


@pytest.mark.parametrize("line", LINES)
def test_prompt_is_a_prefix_and_labels_are_the_line_and_the_stop(line: str, tokenizer: Any) -> None:
    codec = PromptCodec(tokenizer, "user_assistant", 256)
    tokens = codec.encode(PROMPT, line)
    prompt = codec.prompt_ids(PROMPT)
    assert tokens.input_ids[: len(prompt)] == prompt
    assert tokens.labels[: len(prompt)] == [IGNORED] * len(prompt)
    assert tokens.labels[len(prompt) :] == tokens.input_ids[len(prompt) :]
    assert tokenizer.decode([label for label in tokens.labels if label != IGNORED]) == line + "<eos>"


def test_labels_are_masked_by_position_where_the_line_repeats_the_prompt(tokenizer: Any) -> None:
    codec = PromptCodec(tokenizer, "user_assistant", 256)
    tokens = codec.encode(PROMPT, PROMPT.strip())
    assert tokens.labels.count(IGNORED) == len(codec.prompt_ids(PROMPT))
    assert tokenizer.decode(tokens.completion_ids) == PROMPT.strip() + "<eos>"


def test_tokens_that_merge_over_the_border_are_refused_by_name() -> None:
    codec = PromptCodec(merging_tokenizer(), "user_assistant", 32)
    assert codec.encode("xx", "ab").completion_ids == [4, 0]
    with pytest.raises(UserError, match=r"corpus\.jsonl:7: the prompt's tokens are no prefix"):
        codec.encode("xa", "bx", "corpus.jsonl:7")


def test_stop_stays_labelled_in_a_batch_where_pad_is_eos(tokenizer: Any) -> None:
    from sft.trainer import IndexedCollator

    tokenizer.pad_token = tokenizer.eos_token
    codec = PromptCodec(tokenizer, "user_assistant", 256)
    encoded = [codec.encode(PROMPT, line) for line in (LINES[0], LINES[0] * 3)]
    rows = [{"input_ids": x.input_ids, "labels": x.labels, "record_index": i} for i, x in enumerate(encoded)]
    batch = IndexedCollator(pad_token_id=tokenizer.pad_token_id)(rows)
    assert [row[row != IGNORED].tolist() for row in batch["labels"]] == [x.completion_ids for x in encoded]
    assert all(x.completion_ids[-1] == tokenizer.eos_token_id for x in encoded)
    assert batch["record_index"].tolist() == [0, 1]


@pytest.mark.parametrize("own", ["<bos> $A", "<bos> $A <eos>", "$A <eos>", "$A"])
def test_one_bos_and_one_stop_whatever_the_tokenizer_adds_by_itself(own: str, tokenizer: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=own, special_tokens=[("<bos>", bos), ("<eos>", eos)])
    assert len(tokenizer("가").input_ids) - len(tokenizer("가", add_special_tokens=False).input_ids) == own.count("<")
    codec = PromptCodec(tokenizer, "user_assistant", 256)
    tokens = codec.encode(PROMPT, LINES[0])
    assert tokens.input_ids[0] == bos
    assert (tokens.input_ids.count(bos), tokens.input_ids.count(eos)) == (1, 1)
    assert (codec.prompt_ids(PROMPT).count(bos), codec.prompt_ids(PROMPT).count(eos)) == (1, 0)


def test_a_model_without_bos_gets_none(tokenizer: Any) -> None:
    bos, tokenizer.bos_token = tokenizer.bos_token_id, None
    assert bos not in PromptCodec(tokenizer, "user_assistant", 256).encode(PROMPT, LINES[0]).input_ids


@pytest.mark.parametrize(
    ("line", "max_length", "message"),
    [
        ("", 256, "the line is empty"),
        ("네.<eos>", 256, "contains the stop token"),
        ("네.<bos>", 256, "2 BOS tokens"),
        (LINES[0], 20, "leave no room for a line"),
        ("어서 오십시오. " * 40, 128, r"more than 128; shorten"),
    ],
)
def test_a_line_that_breaks_a_guarantee_is_refused_by_name(line: str, max_length: int, message: str, tokenizer: Any) -> None:
    with pytest.raises(UserError, match=f"lines:3: .*{message}"):
        PromptCodec(tokenizer, "user_assistant", max_length).encode(PROMPT, line, "lines:3")


def test_length_counts_the_stop_token(tokenizer: Any) -> None:
    length = len(PromptCodec(tokenizer, "user_assistant", 256).encode(PROMPT, LINES[0]).input_ids)
    PromptCodec(tokenizer, "user_assistant", length).encode(PROMPT, LINES[0])
    with pytest.raises(UserError, match=f"{length} tokens, more than {length - 1}"):
        PromptCodec(tokenizer, "user_assistant", length - 1).encode(PROMPT, LINES[0])


def test_a_tokenizer_without_eos_is_refused(tokenizer: Any) -> None:
    tokenizer.eos_token = None
    with pytest.raises(UserError, match="never learn to stop"):
        PromptCodec(tokenizer, "user_assistant", 256)


def test_chat_stops_at_the_turn_end(chat_tokenizer: Any) -> None:
    domain = load_domain("weapon_rental")
    codec = PromptCodec(chat_tokenizer, "chat", 512)
    prompt = render(domain.probes[0], domain, "chat", chat_tokenizer)
    tokens = codec.encode(prompt, LINES[0])
    assert codec.stop_id == chat_tokenizer.convert_tokens_to_ids("<|im_end|>") != chat_tokenizer.eos_token_id
    assert chat_tokenizer.decode(tokens.completion_ids) == LINES[0] + "<|im_end|>"
    assert chat_tokenizer.bos_token_id not in tokens.input_ids
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": LINES[0]}]
    template = chat_tokenizer.apply_chat_template(turns, tokenize=False)
    assert template.endswith(chat_tokenizer.decode(tokens.completion_ids) + "\n")


def test_a_template_that_writes_bos_gets_no_second_one(chat_tokenizer: Any) -> None:
    chat_tokenizer.chat_template = "{{ bos_token }}" + CHATML
    domain = load_domain("weapon_rental")
    prompt = render(domain.probes[0], domain, "chat", chat_tokenizer)
    tokens = PromptCodec(chat_tokenizer, "chat", 512).encode(prompt, LINES[0])
    assert tokens.input_ids[0] == chat_tokenizer.bos_token_id
    assert tokens.input_ids.count(chat_tokenizer.bos_token_id) == 1


def test_chat_without_a_template_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="chat template"):
        PromptCodec(tokenizer, "chat", 256)


def test_a_template_without_turn_end_stops_at_eos(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
    assert PromptCodec(tokenizer, "chat", 256).stop_id == tokenizer.eos_token_id


def test_preview_shows_each_token_with_its_label(tokenizer: Any) -> None:
    codec = PromptCodec(tokenizer, "user_assistant", 256)
    tokens = codec.encode(PROMPT, LINES[0])
    shown = codec.preview(tokens).splitlines()[1:]
    labels = [row.split()[-1] for row in shown]
    assert labels == ["-" if label == IGNORED else str(label) for label in tokens.labels]
    assert "<bos>" in shown[0]
    assert "<eos>" in shown[-1]
