"""Two CPU processes: DistributedDataParallel, ZeRO-2 and ZeRO-3 train, compute the reference and save whole adapters, and agree."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml

from npc_align.corpus import read_examples
from npc_align.domain import load_domain
from npc_align.modeling.generation import Decoding, generate_lines
from npc_align.modeling.load import load_for_generation
from npc_align.prompt import render
from tests.integration.conftest import BIN, ROOT, Commands, adapter_tensors, free_port, metrics
from tests.unit.tiny_trainers import adapter_of


@pytest.fixture(scope="module")
def arguments(tiny_model: Path, small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """An adapter that does something, and pairs of which every other prompt has two."""
    folder, domain = tmp_path_factory.mktemp("start"), load_domain("weapon_rental")
    adapter = adapter_of(tiny_model, folder / "adapter")
    examples = read_examples(small_corpus, domain)[:36]
    rows = []
    for i, (good, bad, worse) in enumerate(zip(examples[:12], examples[12:24], examples[24:], strict=True)):
        common = {"prompt": render(good.attributes, domain), "chosen": good.line, "attributes": good.attributes, "group": str(i)}
        rows += [{**common, "rejected": line.line} for line in ((bad, worse) if i % 2 else (bad,))]
    pairs = folder / "preferences.jsonl"
    pairs.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return (
        f"model.adapter={adapter}", f"data.pairs={pairs}", f"data.corpus={small_corpus}", "model.dtype=float32", "optim.epochs=1",
        "optim.learning_rate=1e-3", "optim.batch_size=2", "optim.eval_steps=3", "optim.compile=false", "gate.prompts=2",
        "gate.max_new_tokens=4",
    )  # fmt: skip


@pytest.fixture(scope="module")
def ddp_run(commands: Commands, arguments: tuple[str, ...]) -> Path:
    # accelerate launches several CPU processes by MPI only; its shipped ddp.yaml is for GPUs.
    launcher = (BIN / "torchrun", "--nproc-per-node", "2", "--master-port", str(free_port()), ROOT / "dpo/train.py")
    cache = str(commands.work / "ddp-cache")
    commands.run(*launcher, "output_dir=runs/ddp-dpo", *arguments, NPC_ALIGN_CACHE=cache, ACCELERATE_USE_CPU="true")
    return commands.work / "runs/ddp-dpo"


def assert_trained(run: Path, arguments: tuple[str, ...], engine: dict[str, object]) -> None:
    """The engine that was asked for trained from the reference on, and left an adapter with every tensor whole."""
    assert json.loads((run / "result.json").read_text())["engine"] == engine
    first = next(row for row in metrics(run) if "loss" in row)
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-4)
    start = adapter_tensors(Path(arguments[0].partition("=")[2]))
    saved = adapter_tensors(run / "adapter")
    assert {name: t.shape for name, t in saved.items()} == {name: t.shape for name, t in start.items()}
    assert all(bool(torch.isfinite(t).all()) for t in saved.values())
    assert any(not torch.equal(saved[name], start[name]) for name in start)


def assert_speaks_as_in_training(run: Path) -> None:
    """Loaded and merged, the best adapter says what the model of the run, divided or not, said at that checkpoint."""
    step = int(json.loads((run / "result.json").read_text())["best_checkpoint"].rpartition("-")[2])
    rows = (run / f"samples/step-{step:06d}.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    loaded = load_for_generation(str(run), torch.float32)
    prompts = [render(probe, loaded.domain) for probe in loaded.domain.probes]
    lines = generate_lines(loaded.model, loaded.codec, prompts, Decoding(max_new_tokens=4))
    assert [line.text for line in lines] == [json.loads(row)["line"] for row in rows[: len(prompts)]]


def test_ddp_on_two_processes_trains_dpo(commands: Commands, ddp_run: Path, arguments: tuple[str, ...]) -> None:
    assert_trained(ddp_run, arguments, {"class": "DistributedDataParallel", "zero_stage": None, "world_size": 2})
    assert list((commands.work / "ddp-cache/reference").glob("*/*.safetensors"))


def zero_config(stage: int, folder: Path) -> Path:
    """The shipped config with nothing changed but CPU use, precision, process count and port."""
    settings = yaml.safe_load((ROOT / f"configs/accelerate/zero{stage}.yaml").read_text(encoding="utf-8"))
    path = folder / f"zero{stage}.yaml"
    small = {"use_cpu": True, "mixed_precision": "no", "num_processes": 2, "main_process_port": free_port()}
    path.write_text(yaml.safe_dump(settings | small), encoding="utf-8")
    return path


needs_deepspeed = pytest.mark.skipif(
    find_spec("deepspeed") is None, reason="deepspeed isn't installed (extra [deepspeed]): nothing shows that ZeRO trains"
)


@needs_deepspeed
@pytest.mark.parametrize("stage", [2, 3])
def test_zero_on_two_processes_comes_to_what_ddp_comes_to(
    stage: int, commands: Commands, ddp_run: Path, arguments: tuple[str, ...]
) -> None:
    output, cache = f"runs/zero{stage}-dpo", str(commands.work / f"zero{stage}-cache")  # this engine computes the reference
    config = zero_config(stage, commands.work)
    commands.launch("dpo/train.py", f"output_dir={output}", *arguments, config=config, NPC_ALIGN_CACHE=cache)
    run = commands.work / output
    assert_trained(run, arguments, {"class": "DeepSpeedEngine", "zero_stage": stage, "world_size": 2})
    theirs = adapter_tensors(ddp_run / "adapter")
    for name, tensor in adapter_tensors(run / "adapter").items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-5, rtol=0)
    assert_speaks_as_in_training(run)


@needs_deepspeed
def test_zero3_on_two_processes_trains_sft(commands: Commands, sft_arguments: tuple[str, ...]) -> None:
    small = ("optim.epochs=1", "data.limit=48", "gate.prompts=2", "gate.max_new_tokens=4")
    commands.launch("sft/train.py", "output_dir=runs/zero3-sft", *sft_arguments, *small, config=zero_config(3, commands.work))
    run = commands.work / "runs/zero3-sft"
    assert json.loads((run / "result.json").read_text())["engine"] == {
        "class": "DeepSpeedEngine",
        "zero_stage": 3,
        "world_size": 2,
    }
    tensors = adapter_tensors(run / "adapter")
    assert len(tensors) == 28
    assert all(t.numel() and bool(torch.isfinite(t).all()) for t in tensors.values())
