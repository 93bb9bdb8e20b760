"""Compiled layers compute what uncompiled ones do, and are left alone where they can't work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model

from npc_align.modeling import completion_head
from npc_align.modeling.attention import attend
from npc_align.modeling.compiled import compile_layers, is_compiled
from npc_align.modeling.load import load_base, merged_copy
from tests.unit.tiny_trainers import dpo_trainer


@pytest.fixture
def adapted(tiny_model: Path) -> Any:
    torch.manual_seed(1)
    return get_peft_model(
        load_base(tiny_model, torch.float32),
        LoraConfig(task_type=TaskType.CAUSAL_LM, r=4, target_modules="all-linear", init_lora_weights=False),
    )


def test_names_stay_and_a_merged_copy_is_not_compiled(adapted: Any) -> None:
    names = [name for name, _ in adapted.named_parameters()]
    assert compile_layers(adapted.get_base_model(), processes=1)
    assert [name for name, _ in adapted.named_parameters()] == names
    assert not any(layer._compiled_call_impl for layer in merged_copy(adapted).get_decoder().layers)


def test_a_machine_that_cannot_compile_goes_on_uncompiled(
    adapted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("No working C++ compiler found\nlong story")

    monkeypatch.setattr(torch, "compile", broken)
    assert not compile_layers(adapted.get_base_model(), processes=1)
    assert "torch.compile doesn't work here (No working C++ compiler found)" in capsys.readouterr().out


def test_several_processes_run_uncompiled(adapted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert not compile_layers(adapted.get_base_model(), processes=2)
    assert "only a single CPU process uses it" in capsys.readouterr().out


@pytest.mark.parametrize(("softcap", "wants_grad"), [(None, True), (5.0, True), (None, False)])
def test_the_compiled_head_scores_like_the_uncompiled_one(
    softcap: float | None, wants_grad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion_head, "_COMPILED_TILE", 200)  # two tiles and a rest
    generator = torch.Generator().manual_seed(4)
    hidden, weight = (torch.randn(size, 16, generator=generator) for size in (9, 500))
    targets = torch.randint(0, 500, (9,), generator=generator)
    found, expected = (
        completion_head._score(hidden, weight, None, targets, softcap, wants_grad, compiled) for compiled in (True, False)
    )
    for ours, theirs in zip((*found[0], found[1]), (*expected[0], expected[1]), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


# torch 2.13's dynamo itself looks at .grad of the tensors that it traces.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_reference_and_gradients_are_those_of_the_uncompiled_layers_through_one_graph(
    tiny_model: Path, corpus_file: Path, tmp_path: Path
) -> None:
    """One test, as compiling takes a minute: pairs in two batches of different widths, by plain gradient descent."""
    ours, plain = (
        dpo_trainer(tiny_model, corpus_file, tmp_path / name, max_steps=2, per_device_train_batch_size=4)
        for name in ("compiled", "uncompiled")
    )
    torch._dynamo.utils.counters.clear()
    assert compile_layers(ours.model.get_base_model(), processes=1)
    ours.precompute_reference()
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert graphs > 0
    for name in ("ref_chosen_logps", "ref_rejected_logps"):
        found, expected = (torch.tensor(list(trainer.train_dataset[name])) for trainer in (ours, plain))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    before = {name: p.detach().clone() for name, p in plain.model.named_parameters() if p.requires_grad}
    for trainer in (ours, plain):
        trainer.train()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs, "nothing was compiled once more to train"
    assert all(p.grad is None or p.requires_grad for p in ours.model.parameters())
    assert len({batch["input_ids"].shape[1] for batch in ours.get_train_dataloader()}) == 2
    weights, theirs = (dict(trainer.model.named_parameters()) for trainer in (ours, plain))
    for name, start in before.items():
        # What two steps changed, not the weights: beside these a wrong gradient would not be seen.
        assert not torch.equal(theirs[name], start)
        torch.testing.assert_close(weights[name] - start, theirs[name] - start, atol=1e-6, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_compiled_attention_without_a_mask_is_causal() -> None:
    """The pairs above bring masks; a batch of lines of one length has none."""
    module, compiled = torch.nn.Identity(), torch.compile(attend)
    for length in (9, 17):
        generator = torch.Generator().manual_seed(5)
        states = [torch.randn(2, heads, length, 8, generator=generator, requires_grad=True) for heads in (4, 2, 2)]
        for state in states:
            torch._dynamo.mark_dynamic(state, 2)
        ours = compiled(module, *states, None)[0]
        theirs = torch.nn.functional.scaled_dot_product_attention(*states, is_causal=True, enable_gqa=True).transpose(1, 2)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        for found, expected in zip(*(torch.autograd.grad(out.pow(2).sum(), states) for out in (ours, theirs)), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)


def test_the_head_knows_compiled_layers(adapted: Any) -> None:
    assert not is_compiled(adapted.get_base_model())
    compile_layers(adapted.get_base_model(), processes=1)
    assert is_compiled(adapted.get_base_model())
