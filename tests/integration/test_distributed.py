"""DPO on two CPU processes, prompts shared, under DistributedDataParallel: the reference shared, the whole adapter saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from npc_align.corpus import read_examples
from npc_align.domain import load_domain
from npc_align.prompt import render
from tests.integration.conftest import BIN, ROOT, Commands, adapter_tensors, metrics
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


def test_ddp_on_two_processes_trains_dpo(commands: Commands, arguments: tuple[str, ...]) -> None:
    output, cache = "runs/ddp-dpo", str(commands.work / "ddp-cache")
    # accelerate launches several CPU processes by MPI only; its shipped ddp.yaml is for GPUs.
    launcher = (BIN / "torchrun", "--nproc-per-node", "2", "--master-port", "29517", ROOT / "dpo/train.py")
    commands.run(*launcher, f"output_dir={output}", *arguments, NPC_ALIGN_CACHE=cache, ACCELERATE_USE_CPU="true")
    run = commands.work / output
    trained = json.loads((run / "result.json").read_text())["engine"]
    assert trained == {"class": "DistributedDataParallel", "zero_stage": None, "world_size": 2}
    first = next(row for row in metrics(run) if "loss" in row)
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-4)
    start = adapter_tensors(Path(arguments[0].partition("=")[2]))
    saved = adapter_tensors(run / "adapter")
    assert {name: t.shape for name, t in saved.items()} == {name: t.shape for name, t in start.items()}
    assert all(bool(torch.isfinite(t).all()) for t in saved.values())
    assert any(not torch.equal(saved[name], start[name]) for name in start)
    assert list((commands.work / "ddp-cache/reference").glob("*/*.safetensors"))
