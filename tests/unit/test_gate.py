"""The greedy gate: how checkpoints are ordered, what it writes, and that it leaves the model as it was."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, TaskType, get_peft_model

from npc_align.checks import check_line
from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.modeling.load import load_base, load_tokenizer, merged_copy
from npc_align.modeling.tokens import PromptCodec
from npc_align.training.config import GateSection
from npc_align.training.gate import GreedyGate, selection_score

LOSSES = st.floats(min_value=-50, max_value=50)  # TRL's `robust` loss goes below zero
COUNTS = st.integers(min_value=0, max_value=500)


@given(COUNTS, COUNTS, LOSSES, LOSSES)
def test_fewer_violations_win_whatever_the_loss(one: int, two: int, loss: float, other: float) -> None:
    if one < two:
        assert selection_score(one, loss) < selection_score(two, other)


@given(COUNTS, LOSSES, st.floats(min_value=1e-3, max_value=10))
def test_the_lower_loss_breaks_ties(count: int, loss: float, worse: float) -> None:
    assert selection_score(count, loss) < selection_score(count, loss + worse)


def test_an_infinite_loss_is_worst_and_still_a_number() -> None:
    assert selection_score(3, 100.0) < selection_score(3, math.inf) <= selection_score(4, 0.0)


@pytest.fixture(scope="module")
def policy(tiny_model: Path) -> Any:
    torch.manual_seed(0)
    base = load_base(tiny_model, torch.float32)
    model = get_peft_model(base, LoraConfig(task_type=TaskType.CAUSAL_LM, r=4, target_modules=["q_proj", "v_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def _gate(tiny_model: Path, samples: Path, prompts: int) -> GreedyGate:
    domain = load_domain("weapon_rental")
    codec = PromptCodec(load_tokenizer(tiny_model), "user_assistant", 512)
    section = GateSection(prompts=prompts, max_new_tokens=6, batch_size=4)
    return GreedyGate(codec, "user_assistant", domain, domain.draw(prompts, seed=1), section, samples)


@pytest.mark.parametrize("prompts", [5, 0])
def test_metrics_are_those_of_the_samples(prompts: int, tiny_model: Path, policy: Any, tmp_path: Path) -> None:
    gate = _gate(tiny_model, tmp_path / "samples", prompts)
    metrics = gate.measure(policy, 7, write=True, sharded=False)
    rows = [json.loads(line) for line in (tmp_path / "samples/step-000007.jsonl").read_text(encoding="utf-8").splitlines()]
    probes = len(gate.domain.probes)
    assert [row["attributes"] for row in rows] == gate.asked
    assert len(rows) == probes + prompts
    for row in rows:
        found = check_line(row["line"], row["attributes"], gate.domain, finished=row["finished"])
        assert row["violations"] == sorted({v.kind for v in found})
    counted = rows[probes:] or rows
    bad = sum(bool(row["violations"]) for row in counted)
    assert metrics == {
        "violations": bad,
        "violation_rate": bad / len(counted),
        "distinct_lines": len({row["line"] for row in counted}) / len(counted),
        "distinct_openings": len({tuple(row["line"].split()[:2]) for row in counted}) / len(counted),
        "mean_length": sum(len(row["line"]) for row in counted) / len(counted),
        "unfinished": sum(not row["finished"] for row in counted) / len(counted),
    }


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("sharded", [True, False])
def test_the_model_stays_as_it_was(training: bool, sharded: bool, tiny_model: Path, policy: Any, tmp_path: Path) -> None:
    policy.train(training)
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    random_state, shipped = torch.random.get_rng_state(), policy.generation_config
    _gate(tiny_model, tmp_path, 2).measure(policy, 1, write=False, sharded=sharded)
    after = policy.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {module.training for module in policy.modules()} == {training}
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert policy.generation_config is shipped
    assert not list(tmp_path.iterdir())


def test_merged_copy_and_the_model_itself_say_the_same(tiny_model: Path, policy: Any, tmp_path: Path) -> None:
    gate = _gate(tiny_model, tmp_path, 3)
    written = []
    for step, sharded in enumerate((True, False)):
        gate.measure(policy, step, write=True, sharded=sharded)
        written.append((tmp_path / f"step-{step:06d}.jsonl").read_text(encoding="utf-8"))
    assert written[0] == written[1]


def test_a_merged_copy_shares_what_the_adapter_leaves_alone(policy: Any) -> None:
    copied = merged_copy(policy)
    base = policy.get_base_model().model
    assert copied.model.embed_tokens.weight is base.embed_tokens.weight
    assert copied.model.layers[0].mlp.up_proj.weight is base.layers[0].mlp.up_proj.weight
    merged, kept = copied.model.layers[0].self_attn.q_proj.weight, base.layers[0].self_attn.q_proj.base_layer.weight
    assert not torch.equal(merged, kept)


def test_a_gate_with_nothing_to_ask_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    domain = replace(load_domain("weapon_rental"), probes=())
    codec = PromptCodec(load_tokenizer(tiny_model), "user_assistant", 512)
    with pytest.raises(UserError, match=r"gate\.prompts"):
        GreedyGate(codec, "user_assistant", domain, [], GateSection(), tmp_path)
