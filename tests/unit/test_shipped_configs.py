"""Every file that ships for a user to start from is read here by the code that reads it in earnest."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import launch_command_parser

from dpo.config import DPORunConfig
from npc_align.domain import load_domain
from npc_align.evaluation.presets import groups, load_presets
from npc_align.training.config import load_config
from sft.config import SFTRunConfig

ROOT = Path(__file__).resolve().parents[2]
CLASSES: dict[str, type] = {"sft": SFTRunConfig, "dpo": DPORunConfig}
RUNS = sorted(f.relative_to(ROOT / "configs").as_posix() for stage in CLASSES for f in (ROOT / "configs" / stage).glob("*.yaml"))
LAUNCHERS = sorted((ROOT / "configs/accelerate").glob("*.yaml"))

EXAONE = {
    "model.path": "models/EXAONE-3.5-2.4B-Instruct",
    "data.domain": "weapon_rental",
    "lora.r": 32,
    "lora.alpha": 64,
    "lora.dropout": 0.05,
    "lora.targets": "attention",
    "optim.epochs": 3,
    "optim.learning_rate": 2e-4,
    "optim.batch_size": 8,
    "optim.gradient_accumulation": 1,
    "optim.warmup_ratio": 0,
    "optim.scheduler": "linear",
    "optim.early_stopping_patience": None,
}
GENTLE_DPO = {"optim.learning_rate": 5e-6, "loss.beta": 0.1, "loss.sft_weight": 1.0, "optim.epochs": 1}
EXPECTED: dict[str, dict[str, Any]] = {
    "sft/default.yaml": {"output_dir": "runs/sft", "model.path": "embedded"},
    "sft/exaone-3.5-2.4b-run1.yaml": {**EXAONE, "data.domain": "weapon_rental_v1", "lora.r": 16, "lora.alpha": 32},
    "sft/exaone-3.5-2.4b-run2.yaml": {**EXAONE, "lora.r": 16, "lora.alpha": 32},
    "sft/exaone-3.5-2.4b-run3.yaml": EXAONE,
    "sft/exaone-3.5-2.4b-run4.yaml": {**EXAONE, "lora.targets": ["attention", "mlp"]},
    "sft/exaone-3.5-2.4b-run5.yaml": {**EXAONE, "lora.targets": ["attention", "mlp"], "optim.epochs": 10},
    "sft/solar-10.7b.yaml": {
        "model.path": "models/SOLAR-10.7B-Instruct-v1.0",
        "data.max_length": 512,
        "lora.r": 64,
        "lora.alpha": 128,
        "lora.dropout": 0.05,
        "lora.targets": "all-linear",
        "optim.epochs": 2,
        "optim.batch_size": 8,
        "optim.gradient_accumulation": 2,
        "optim.learning_rate": 1e-4,
        "optim.warmup_ratio": 0.05,
        "optim.weight_decay": 0.01,
        "optim.gradient_checkpointing": True,
    },
    "dpo/default.yaml": {"output_dir": "runs/dpo", "model.adapter": "runs/sft"},
    "dpo/exaone-3.5-2.4b.yaml": GENTLE_DPO,
    "dpo/solar-10.7b.yaml": GENTLE_DPO,
}

# As written in the training log and the strategy note (which names no do_sample: it sets temperatures, so it samples).
DECODINGS = {
    "log1-trial1": "max_new_tokens=50(답변 길이를 여유있게) temperature=0.7(다양성) repetition_penalty=1.2(같은 단어 반복 방지 강화) "
    "top_p=0.9(단어 누적 확률 임계값) do_sample=True(랜덤성)",
    "log1-trial2": "max_new_tokens=100 temperature=0.85 repetition_penalty=1.5 top_p=0.9 do_sample=True",
    "log1-trial3": "max_new_tokens=60 temperature=0.5 repetition_penalty=1.2 top_p=0.9 do_sample=False",
    "log1-trial4": "max_new_tokens=60 temperature=0.5 repetition_penalty=1.2 top_p=0.9 do_sample=True",
    "log1-trial5": "max_new_tokens=60 temperature=0.3 repetition_penalty=1.1 top_p=0.7 do_sample=True",
    "log2-trial1": "max_new_tokens=100 temperature=0.7 top_p=0.9 do_sample=True",
    "log2-trial2": "max_new_tokens=50 do_sample=False",
    "log3-trial1": "max_new_tokens=100 temperature=0.7 top_p=0.9 do_sample=True",
    "log3-trial2": "max_new_tokens=50 do_sample=False",
    "log4-trial1": "max_new_tokens=100 temperature=0.7 top_p=0.9 do_sample=True",
    "log4-trial2": "max_new_tokens=50 do_sample=False",
    "log5-trial1": "max_new_tokens=50 do_sample=False",
    "strategy-note": "max_new_tokens=256 temperature=0.7 top_p=0.9 repetition_penalty=1.1 do_sample=True",
    "strategy-note-natural": "max_new_tokens=256 temperature=0.3 top_p=0.85 repetition_penalty=1.0 do_sample=True",
}


def load(name: str) -> Any:
    return load_config(CLASSES[name.split("/")[0]], ROOT / "configs" / name)


def value(config: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        config = getattr(config, part)
    return config


def leaves(mapping: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, inner in mapping.items():
        found |= leaves(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {prefix + key}
    return found


def key_lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines() if re.match(r" *\w+:", line)]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_config_builds_with_the_values_promised(name: str) -> None:
    config = load(name)
    for dotted, expected in EXPECTED.get(name, {}).items():
        assert value(config, dotted) == expected, dotted


def test_every_promised_run_config_ships() -> None:
    assert set(EXPECTED) <= set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_config_hides_no_key(name: str) -> None:
    written = yaml.safe_load((ROOT / "configs" / name).read_text(encoding="utf-8"))
    assert leaves(written) == leaves(dataclasses.asdict(CLASSES[name.split("/")[0]]()))


@pytest.mark.parametrize("name", [n for n in RUNS if not n.endswith("default.yaml")])
def test_a_run_config_comments_every_value(name: str) -> None:
    bare = [line for line in key_lines(ROOT / "configs" / name) if not line.endswith(":") and not re.search(r" # \S", line)]
    assert not bare


@pytest.mark.parametrize("name", RUNS)
def test_no_comment_is_empty(name: str) -> None:
    text = (ROOT / "configs" / name).read_text(encoding="utf-8")
    assert not [line for line in text.splitlines() if re.search(r"\S *#\s*$", line)]


@pytest.mark.parametrize("name", [n for n in RUNS if n.startswith("sft/")])
def test_an_sft_config_names_a_domain_that_ships(name: str) -> None:
    assert load_domain(load(name).data.domain).attributes


@pytest.mark.parametrize("name", [n for n in RUNS if n.startswith("dpo/")])
def test_a_dpo_config_continues_a_run_that_an_sft_config_writes(name: str) -> None:
    written = {load(other).output_dir for other in RUNS if other.startswith("sft/")}
    assert load(name).model.adapter in written


def test_run_folders_are_distinct() -> None:
    folders = [load(name).output_dir for name in RUNS]
    assert len(set(folders)) == len(folders)


def test_the_seeds_presets_are_those_that_the_seeds_name() -> None:
    assert {decoding.name for decoding in groups()["seeds"]} == set(DECODINGS)


@pytest.mark.parametrize("name", DECODINGS)
def test_a_decoding_preset_says_what_the_seeds_say(name: str) -> None:
    said = {key: yaml.safe_load(text.lower()) for key, text in re.findall(r"(\w+)=([\d.]+|True|False)", DECODINGS[name])}
    decoding = load_presets()[name]
    assert {"max_new_tokens": decoding.max_new_tokens, **decoding.knobs} == said


def test_the_default_preset_sets_nothing() -> None:
    assert not load_presets()["default"].knobs


def test_the_launch_configs_that_the_scripts_name_ship() -> None:
    assert {file.stem for file in LAUNCHERS} == {"cpu", "single_gpu", "ddp", "zero2", "zero3"}


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda f: f.stem)
def test_accelerate_reads_a_launch_config(file: Path) -> None:
    config = load_config_from_file(str(file))
    assert isinstance(config, ClusterConfig)
    assert config.use_cpu is (file.stem == "cpu")
    # deepspeed_config is a free mapping to accelerate, which copies its keys onto the arguments of `accelerate launch`.
    known = vars(launch_command_parser().parse_args(["train.py"]))
    assert set(config.deepspeed_config) <= set(known)


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda f: f.stem)
def test_a_launch_config_comments_every_key(file: Path) -> None:
    assert not [line for line in key_lines(file) if not re.search(r" # \S", line)]


@pytest.mark.parametrize(("name", "kind"), [("cpu", "NO"), ("single_gpu", "NO"), ("ddp", "MULTI_GPU")])
def test_plain_launch_configs_leave_precision_to_the_run(name: str, kind: str) -> None:
    config = load_config_from_file(str(ROOT / f"configs/accelerate/{name}.yaml"))
    assert (config.distributed_type.value, config.mixed_precision, config.deepspeed_config) == (kind, "no", {})


@pytest.mark.parametrize("stage", [2, 3])
def test_zero_configs_take_the_trainers_steps_and_never_save_an_empty_adapter(stage: int) -> None:
    config = load_config_from_file(str(ROOT / f"configs/accelerate/zero{stage}.yaml"))
    assert (config.distributed_type.value, config.mixed_precision) == ("DEEPSPEED", "bf16")
    settings = config.deepspeed_config
    assert settings["zero_stage"] == stage
    assert (settings["gradient_accumulation_steps"], settings["gradient_clipping"]) == ("auto", "auto")
    assert settings.get("zero3_save_16bit_model", False) is (stage == 3)


def launch(stage: str, *arguments: str, gpus: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(ROOT / f"launch/{stage}.sh"), *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path, "CUDA_VISIBLE_DEVICES": gpus},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", ["sft.sh", "dpo.sh", "common.sh"])
def test_launch_scripts_are_valid_bash(script: str) -> None:
    file = ROOT / "launch" / script
    assert subprocess.run(["bash", "-n", file], check=False).returncode == 0
    assert os.access(file, os.X_OK) is (script != "common.sh")  # common.sh is sourced


@pytest.mark.parametrize("stage", ["sft", "dpo"])
@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        ("", "cpu.yaml"),
        ("-1", "cpu.yaml"),
        ("3", "single_gpu.yaml --gpu_ids 3"),
        ("0,1,2", "ddp.yaml --num_processes 3"),
    ],
)
def test_launch_picks_a_config_by_the_gpus_it_finds(stage: str, gpus: str, expected: str, tmp_path: Path) -> None:
    done = launch(stage, "--dry-run", "optim.epochs=1", gpus=gpus, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"accelerate/{expected} {ROOT}/{stage}/train.py optim.epochs=1\n")
    assert done.stdout.startswith("+ ")


@pytest.mark.parametrize("option", [("--accelerate", "zero2"), ("--accelerate=zero2",)])
def test_launch_takes_a_named_config(option: tuple[str, ...], tmp_path: Path) -> None:
    done = launch("sft", *option, "--dry-run", "--config", "my run.yaml", gpus="0,1", cwd=tmp_path)
    assert "/zero2.yaml --num_processes 2 " in done.stdout
    assert done.stdout.endswith("train.py --config my\\ run.yaml\n")


def test_launch_takes_a_file_of_ones_own_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("distributed_type: 'NO'\n", encoding="utf-8")
    done = launch("sft", "--accelerate", "mine.yaml", "--dry-run", gpus="0,1", cwd=tmp_path)
    assert f"--config_file mine.yaml {ROOT}/sft/train.py" in done.stdout


@pytest.mark.parametrize("arguments", [("--accelerate", "zero9"), ("--accelerate",)])
def test_launch_refuses_a_config_that_does_not_exist(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = launch("sft", *arguments, gpus="", cwd=tmp_path)
    assert done.returncode == 2
    assert "cpu ddp single_gpu zero2 zero3" in done.stderr


def test_launch_help_names_the_options(tmp_path: Path) -> None:
    done = launch("dpo", "--help", gpus="", cwd=tmp_path)
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("--accelerate", "--dry-run", "dpo/train.py"))


def test_launch_runs_the_stage_with_its_arguments(tmp_path: Path) -> None:
    fake = tmp_path / "accelerate"
    fake.write_text("#!/bin/sh\nprintf '<%s>' \"$@\"\nexit 7\n", encoding="utf-8")
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""}
    command = [str(ROOT / "launch/sft.sh"), "a=b c"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert (
        done.stdout.splitlines()[-1]
        == f"<launch><--quiet><--config_file><{ROOT}/configs/accelerate/cpu.yaml><{ROOT}/sft/train.py><a=b c>"
    )
