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
from tests.integration.conftest import BIN, ROOT, SMALL_RUN, Commands, adapter_tensors, metrics
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
    launcher = (BIN / "torchrun", "--nproc-per-node", "2", "--master-port", "29517", ROOT / "dpo/train.py")
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


def test_ddp_on_two_processes_trains_dpo(commands: Commands, ddp_run: Path, arguments: tuple[str, ...]) -> None:
    assert_trained(ddp_run, arguments, {"class": "DistributedDataParallel", "zero_stage": None, "world_size": 2})
    assert list((commands.work / "ddp-cache/reference").glob("*/*.safetensors"))


@pytest.mark.skipif(find_spec("deepspeed") is None, reason="deepspeed isn't installed (extra [deepspeed]): ZeRO isn't tested")
@pytest.mark.parametrize("stage", [2, 3])
def test_zero_on_two_processes_trains_both_stages(
    stage: int, commands: Commands, ddp_run: Path, arguments: tuple[str, ...], tiny_model: Path, small_corpus: Path
) -> None:
    """The shipped config with nothing changed but CPU use, precision and process count; DPO comes to what DDP comes to."""
    settings = yaml.safe_load((ROOT / f"configs/accelerate/zero{stage}.yaml").read_text(encoding="utf-8"))
    config = commands.work / f"zero{stage}.yaml"
    config.write_text(yaml.safe_dump(settings | {"use_cpu": True, "mixed_precision": "no", "num_processes": 2}))
    sft, dpo = f"runs/zero{stage}-sft", f"runs/zero{stage}-dpo"
    corpus = (f"model.path={tiny_model}", f"data.corpus={small_corpus}", "data.max_length=400", "data.limit=16")
    small = ("optim.epochs=1", "gate.prompts=2", "gate.max_new_tokens=4", "optim.learning_rate=1e-2")
    commands.launch("sft/train.py", f"output_dir={sft}", *SMALL_RUN, *corpus, *small, config=config)
    # A cache of its own, so that this engine computes the reference.
    commands.launch(
        "dpo/train.py", f"output_dir={dpo}", *arguments, config=config, NPC_ALIGN_CACHE=str(commands.work / f"zero{stage}-cache")
    )
    engine = {"class": "DeepSpeedEngine", "zero_stage": stage, "world_size": 2}
    assert_trained(commands.work / dpo, arguments, engine)
    assert json.loads((commands.work / sft / "result.json").read_text())["engine"] == engine
    tensors = adapter_tensors(commands.work / sft / "adapter")
    assert len(tensors) == 28
    assert all(t.numel() and bool(torch.isfinite(t).all()) for t in tensors.values())
    theirs = adapter_tensors(ddp_run / "adapter")
    for name, tensor in adapter_tensors(commands.work / dpo / "adapter").items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-4, rtol=0)
    loaded = load_for_generation(str(commands.work / dpo), torch.float32)
    assert generate_lines(loaded.model, loaded.codec, ["### User:\n"], Decoding(max_new_tokens=4))
