"""Configs: strict keys, types and ranges; overrides; the resolved config reads back as itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dpo.config import DPORunConfig
from npc_align.errors import UserError
from npc_align.training.config import load_config, to_yaml
from sft.config import SFTRunConfig


def _load(folder: Path, text: str, *overrides: str, cls: Any = SFTRunConfig) -> Any:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(cls, path, overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim: {learning_rte: 1.0}", r"unknown key optim\.learning_rte; did you mean optim\.learning_rate\?"),
        ("optimm: {}", r"unknown key optimm; did you mean optim\?"),
        ("zzz: 1", r"unknown key zzz \(there are: output_dir, seed, model"),
        ("1: 2", "unknown key 1"),
        ("optim: {epochs: many}", r"optim\.epochs='many': expected float"),
        ("optim: {batch_size: 8.0}", r"optim\.batch_size=8\.0: expected int"),
        ("optim: {batch_size: true}", r"optim\.batch_size=True: expected int"),
        ("optim: {learning_rate: true}", r"optim\.learning_rate=True: expected float"),
        ("optim: {gradient_checkpointing: 1}", r"gradient_checkpointing=1: expected bool"),
        ("optim: {eval_steps: often}", r"optim\.eval_steps='often': expected int or null"),
        ("optim: {batch_size: null}", r"optim\.batch_size=None: expected int"),
        ("lora: {targets: [1]}", r"lora\.targets=\[1\]: expected str or list\[str\]"),
        ("model: {path: 3}", r"model\.path=3: expected str"),
        ("optim: 3", "optim is a section, not 3"),
        ("[1, 2]", "a config is a mapping of sections, not list"),
        ("a: [", "not readable as YAML"),
    ],
)
def test_wrong_keys_and_types_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        _load(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "optim: {batch_size: 0}", "optim: {learning_rate: 0}", "optim: {learning_rate: .nan}", "optim: {epochs: -1}",
        "optim: {warmup_ratio: 1}", "optim: {warmup_ratio: .nan}", "lora: {r: 0}", "lora: {dropout: -0.1}",
        "guard: {spike_factor: 0}", "guard: {window: 0}", "guard: {max_in_a_row: 0}", "gate: {max_new_tokens: 0}",
        "drift: {length: 0}", "drift: {displacement: 1.0}",
        "gate: {prompts: -1}", "optim: {eval_steps: 0}", "optim: {early_stopping_patience: 0}", "optim: {max_checkpoints: 0}",
        "data: {max_length: 8}", "data: {limit: 0}", "choose_by: vibes",
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must be|allowed are"):
        _load(tmp_path, text)


@pytest.mark.parametrize("other", ["lora.dora=true", "optim.gradient_checkpointing=true"])
def test_what_excludes_compilation_is_refused(other: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"optim\.compile.* exclude each other"):
        _load(tmp_path, "", "optim.compile=true", other)


@pytest.mark.parametrize(
    "text",
    ["data: {held_out: 0}", "data: {held_out: 1}", "loss: {type: sft}", "loss: {beta: 0}", "loss: {sft_weight: -1}"],
)
def test_dpo_values_out_of_range_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must be|allowed are"):
        _load(tmp_path, text, cls=DPORunConfig)


@pytest.mark.parametrize("text", ["2e-4", "0.0002", "'2e-4'", "2.0e-4"])
def test_numbers_in_any_spelling(text: str, tmp_path: Path) -> None:
    config = _load(tmp_path, f"optim: {{learning_rate: {text}, epochs: 3}}")
    assert config.optim.learning_rate == 2e-4
    assert isinstance(config.optim.epochs, float)
    assert _load(tmp_path, "", f"optim.learning_rate={text}").optim.learning_rate == 2e-4


def test_overrides_win_and_leave_the_rest(tmp_path: Path) -> None:
    config = _load(
        tmp_path, "optim: {epochs: 2, batch_size: 4}", "optim.epochs=5", "lora.targets=[q_proj, v_proj]", "optim.eval_steps=null",
        "seed=7", "data.corpus=a=b.jsonl",
    )  # fmt: skip
    assert (config.optim.epochs, config.optim.batch_size, config.optim.eval_steps, config.seed) == (5.0, 4, None, 7)
    assert config.lora.targets == ["q_proj", "v_proj"]
    assert config.data.corpus == "a=b.jsonl"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.epoch=3", r"did you mean optim\.epochs\?"),
        ("optim.epochs", r"write section\.key=value"),
        ("seed.deeper=1", "seed is no section"),
        ("output_dir.x.y=1", "output_dir"),
        ("optim=3", "optim is a section"),
        ("optim.epochs=[1]", "expected float"),
        ("lora.targets=[q_proj", "not readable as YAML"),
    ],
)
def test_wrong_overrides_are_refused(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        _load(tmp_path, "seed: 1", override)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml: no such config file"):
        load_config(SFTRunConfig, tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("cls", [SFTRunConfig, DPORunConfig])
def test_the_resolved_config_reads_back_as_itself(cls: type[Any], tmp_path: Path) -> None:
    config = _load(tmp_path, "", "optim.learning_rate=2e-5", "optim.eval_steps=3", "output_dir=실험/하나", cls=cls)
    text = to_yaml(config)
    assert _load(tmp_path, text, cls=cls) == config
    assert "실험/하나" in text
    assert "early_stopping_patience" in text


@pytest.mark.parametrize(("stage", "cls"), [("sft", SFTRunConfig), ("dpo", DPORunConfig)])
def test_shipped_configs_are_valid(stage: str, cls: type[Any], root: Path) -> None:
    files = sorted((root / "configs" / stage).glob("*.yaml"))
    assert files
    for file in files:
        load_config(cls, file)
