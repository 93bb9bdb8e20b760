"""Default decoding and sampling on a tiny model, and the merged copy that generates during training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, Qwen3Config, Qwen3ForCausalLM
from trl.trainer.utils import add_fused_lm_head

from npc_align.errors import UserError
from npc_align.modeling import generation
from npc_align.modeling.completion_head import use_completion_head
from npc_align.modeling.generation import Decoding, Line, default_generation_config, generate_lines
from npc_align.modeling.load import load_base, load_tokenizer, merged_copy
from npc_align.modeling.tokens import PromptCodec

PROMPTS = ["### User:\n" + "성격: 존칭형\n" * n + "\n### Assistant:\n" for n in (5, 1, 3, 2, 4)]
SHIPPED = {"do_sample": True, "temperature": 2.0, "top_p": 0.5, "top_k": 3, "repetition_penalty": 5.0, "no_repeat_ngram_size": 1}
SHORT = Decoding(max_new_tokens=8)


@pytest.fixture
def model(tiny_model: Path) -> Any:
    return load_base(tiny_model, torch.float32).eval()


@pytest.fixture(scope="module")
def codec(tiny_model: Path) -> PromptCodec:
    return PromptCodec(load_tokenizer(tiny_model), "user_assistant", 512)


def test_what_a_model_ships_does_not_reach_default_decoding(
    tiny_model: Path, model: Any, codec: PromptCodec, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "generation_config.json").write_text(json.dumps({**SHIPPED, "eos_token_id": 5, "max_new_tokens": 3}))
    tuned = load_base(folder, torch.float32).eval()
    assert tuned.generation_config.repetition_penalty == 5.0
    plain = generate_lines(model, codec, PROMPTS, SHORT)
    assert generate_lines(tuned, codec, PROMPTS, SHORT) == plain
    assert generate_lines(model, codec, PROMPTS, Decoding("x", 8, {"repetition_penalty": 5.0})) != plain


def test_the_default_config_holds_stops_pad_and_bos_only(codec: PromptCodec) -> None:
    tokenizer = codec.tokenizer
    given = default_generation_config(codec).to_diff_dict()
    given.pop("transformers_version", None)
    assert given == {
        "eos_token_id": [tokenizer.eos_token_id], "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id
    }  # fmt: skip


def _gemma(vocabulary: int, window: int) -> Any:
    torch.manual_seed(4)
    config = Gemma3TextConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, sliding_window=window, layer_types=["sliding_attention", "full_attention"], final_logit_softcapping=3.0,
    )  # fmt: skip
    return Gemma3ForCausalLM(config).eval()


def _qwen(vocabulary: int) -> Any:
    torch.manual_seed(5)
    config = Qwen3Config(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=8, initializer_range=0.2,
    )  # fmt: skip
    return Qwen3ForCausalLM(config).eval()


def _speaker(family: str, llama: Any) -> Any:
    """A tiny model of a family; the prompts here have 20 to 60 tokens, the common beginning about 10."""
    vocabulary = llama.config.vocab_size
    made = {
        "llama": lambda: llama,
        "gemma, prompts longer than its window": lambda: _gemma(vocabulary, 16),
        "gemma, prompts in its window": lambda: _gemma(vocabulary, 512),
        "qwen": lambda: _qwen(vocabulary),
    }
    return made[family]()


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """[rows, tokens] of every forward."""
    shapes: list[tuple[int, ...]] = []
    forward = generation._forward
    monkeypatch.setattr(generation, "_forward", lambda *a: (shapes.append(tuple(a[2].shape)), forward(*a))[1])
    return shapes


@torch.inference_mode()
def _theirs(model: Any, codec: PromptCodec, prompts: list[str], knobs: dict[str, Any]) -> list[Line]:
    """What transformers' own `generate` says, one prompt at a time."""
    lines = []
    for prompt in prompts:
        ids = torch.tensor([codec.prompt_ids(prompt)])
        model.generation_config = default_generation_config(codec)
        new = model.generate(ids, max_new_tokens=16, **knobs)[0, ids.shape[1] :].tolist()
        finished = new[-1] in codec.stop_ids
        text = codec.tokenizer.decode(new[:-1] if finished else new, skip_special_tokens=True)
        lines.append(Line(text.strip(), finished))
    return lines


@pytest.mark.parametrize(
    ("family", "knobs"),
    [
        ("llama", {}),
        ("llama", {"repetition_penalty": 1.3}),
        ("gemma, prompts longer than its window", {}),
        ("gemma, prompts in its window", {}),
        ("qwen", {}),
    ],
)
def test_lines_are_those_of_generate(
    family: str,
    knobs: dict[str, Any],
    model: Any,
    codec: PromptCodec,
    fed: list[tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speaker = _speaker(family, model)
    prompts = [f"{prompt}{i * '가'}" for prompt in PROMPTS for i in range(4)]
    # An untrained model never stops by itself: tokens that its lines come to at different steps are made stop ids.
    freely = [codec.tokenizer(x.text, add_special_tokens=False).input_ids for x in _theirs(speaker, codec, prompts[::5], knobs)]
    ends = {ids[min(4 + 3 * i, len(ids) - 1)] for i, ids in enumerate(freely)}
    monkeypatch.setattr(PromptCodec, "stop_ids", [codec.stop_id, *ends])
    expected = _theirs(speaker, codec, prompts, knobs)
    assert generate_lines(speaker, codec, prompts, Decoding("x", 16, knobs), batch_size=20) == expected
    width = max(len(codec.prompt_ids(p)) for p in prompts)
    levels = next(i for i in range(len(fed)) if sum(tokens for _, tokens in fed[:i]) == width)
    steps = [rows for rows, _ in fed[levels:]]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] < 20 or family == "qwen", "rows left the batch as they ended; this Qwen's lines end together"
    assert len(set(expected)) > 2
    # Padding behind a shared beginning would count against a window shorter than the prompts.
    assert (fed[0][0] == 20) == (family == "gemma, prompts longer than its window")


@pytest.mark.parametrize(
    ("prompts", "levels"),
    [
        (["abcd"], []),
        (["abcd", "abxy"], [2]),
        (["aacd", "aaxy", "ba", "bcde"], [1]),
        (["abc1", "abc2", "abd3", "abd4"], [2, 3]),
        (["ab", "abc", "abcd"], [1]),
        (["a", "b"], []),
        (["wxy", "abc", "def"], []),
    ],
)
def test_levels_end_where_prompts_part(prompts: list[str], levels: list[int]) -> None:
    assert generation._levels([tuple(map(ord, p)) for p in prompts]) == levels


def test_what_some_prompts_share_is_computed_once(model: Any, codec: PromptCodec, fed: list[tuple[int, ...]]) -> None:
    prompts = [f"### User:\n{'모험가타입: ' + a}\n{'나이: ' + b}\n성격: {c}\n" for a in "가나" for b in "다라" for c in "마바사"]
    lines = generate_lines(model, codec, prompts, SHORT)
    assert [rows for rows, tokens in fed if tokens > 1] == [1, 2, 4, 12]
    assert lines == [generate_lines(model, codec, [p], SHORT)[0] for p in prompts]


def test_equal_prompts_are_computed_once(model: Any, codec: PromptCodec, fed: list[tuple[int, ...]]) -> None:
    lines = generate_lines(model, codec, [*PROMPTS, PROMPTS[1], *PROMPTS], SHORT)
    assert [rows for rows, tokens in fed if tokens > 1] == [1, 3, 5]
    assert max(rows for rows, _ in fed) == 11
    alone = [generate_lines(model, codec, [p], SHORT)[0] for p in PROMPTS]
    assert lines == [*alone, alone[1], *alone]


def test_long_prompts_make_smaller_batches(model: Any, codec: PromptCodec) -> None:
    done: list[int] = []
    prompts = ["### User:\n" + "가 " * n for n in (1, 250, 1, 250, 250, 1)]
    assert len(codec.prompt_ids(prompts[1])) > 250
    lines = generate_lines(model, codec, prompts, Decoding(max_new_tokens=10), batch_size=3, progress=done.append)
    assert done == [3, 2, 1]
    assert lines[0] == lines[2] == lines[5]


def test_order_is_kept_though_batches_are_sorted_by_length(model: Any, codec: PromptCodec) -> None:
    done: list[int] = []
    lines = generate_lines(model, codec, PROMPTS, SHORT, batch_size=2, progress=done.append)
    assert lines == [generate_lines(model, codec, [prompt], SHORT)[0] for prompt in PROMPTS]
    assert done == [2, 2, 1]
    assert generate_lines(model, codec, []) == []


def test_sampled_lines_are_reproducible_by_seed(model: Any, codec: PromptCodec) -> None:
    decoding = Decoding("warm", 8, {"do_sample": True, "temperature": 1.0})
    first, again, other = (generate_lines(model, codec, PROMPTS, decoding, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def _always(model: Any, token: int) -> Any:
    """The model with a head that says `token` whatever comes before."""
    head = torch.nn.Linear(model.config.hidden_size, model.config.vocab_size)
    torch.nn.init.zeros_(head.weight)
    head.bias.data = torch.nn.functional.one_hot(torch.tensor(token), model.config.vocab_size).float()
    model.lm_head = head
    return model


def test_a_line_is_finished_only_where_the_model_stopped(model: Any, codec: PromptCodec) -> None:
    (token,) = codec.tokenizer("a", add_special_tokens=False).input_ids
    assert generate_lines(_always(model, token), codec, PROMPTS[:1], Decoding(max_new_tokens=3)) == [Line("aaa", False)]
    assert generate_lines(_always(model, codec.stop_id), codec, PROMPTS[:1], Decoding(max_new_tokens=3)) == [Line("", True)]


@pytest.mark.parametrize("key", ["temprature", "num_beams", "generation_config"])
def test_an_unknown_decoding_key_is_refused(key: str) -> None:
    with pytest.raises(UserError, match=rf"decoding hot: unknown key {key}; there are: do_sample, temperature"):
        Decoding("hot", knobs={key: 1})


def test_a_prompt_that_is_too_long_is_named(model: Any, codec: PromptCodec) -> None:
    with pytest.raises(UserError, match="prompt 2"):
        generate_lines(model, codec, [PROMPTS[0], "a b " * 600], SHORT)


def _adapted(model: Any, patched: bool) -> Any:
    """A PEFT model whose adapter matters, its base patched as the trainers patch it."""
    if patched:
        add_fused_lm_head(model, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    torch.manual_seed(3)
    adapted = get_peft_model(model, LoraConfig(task_type=TaskType.CAUSAL_LM, r=4, target_modules=["q_proj", "down_proj"]))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    if patched:
        assert use_completion_head(adapted.get_base_model())
    return adapted.eval()


@pytest.mark.parametrize("patched", [False, True])
@pytest.mark.parametrize("wrapped", [True, False])
def test_merged_copy_computes_the_same_by_itself(patched: bool, wrapped: bool, model: Any, codec: PromptCodec) -> None:
    adapted = _adapted(model, patched)
    original = adapted if wrapped else adapted.merge_and_unload()
    ids = torch.tensor([codec.prompt_ids(PROMPTS[0])])
    names, touched = list(original.state_dict()), {id(p) for p in _adapted_layers(original)}
    calls: list[int] = []
    with torch.no_grad():
        expected = original(input_ids=ids).logits
        copied = merged_copy(original)
        for module in original.modules():
            module.register_forward_pre_hook(lambda *_: calls.append(1))
        for parameter in _adapted_layers(original):
            parameter.add_(1.0)  # a copy that shares what the adapter changes shows it
        found = copied(input_ids=ids).logits
        for parameter in _adapted_layers(original):
            parameter.sub_(1.0)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not calls, "the copy still runs the original's forward"
    assert not isinstance(copied, PeftModel)
    assert not any("lora" in name for name, _ in copied.named_modules())
    assert isinstance(original, PeftModel) == wrapped
    assert list(original.state_dict()) == names
    shared = {id(p) for p in copied.parameters()} & {id(p) for p in original.parameters()}
    assert shared == {id(p) for p in original.parameters()} - touched


def _adapted_layers(model: Any) -> list[torch.nn.Parameter]:
    return [p for layer in model.modules() if isinstance(layer, BaseTunerLayer) for p in layer.parameters()]


def test_making_and_using_a_merged_copy_leaves_the_model_untouched(model: Any, codec: PromptCodec) -> None:
    adapted = _adapted(model, patched=True)
    before = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    forward, calls = adapted.get_base_model().forward, []
    copied = merged_copy(adapted)
    for module in adapted.modules():
        module.register_forward_pre_hook(lambda *_: calls.append(1))
    lines = generate_lines(copied, codec, PROMPTS, SHORT)
    assert not calls
    assert lines == generate_lines(adapted, codec, PROMPTS, SHORT)
    after = adapted.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert adapted.get_base_model().forward == forward
    labels = torch.tensor([codec.prompt_ids(PROMPTS[0])])
    assert adapted(input_ids=labels, labels=labels, fused_lm_head=True).log_probs is not None
