"""Reference log-probabilities by content: nothing is computed twice, nothing stale or damaged is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dpo.reference import ReferenceCache, completion_digest, reference_folder
from dpo.trainer import GreetingDPOTrainer
from tests.unit.tiny_trainers import COUNT, dpo_trainer

ONE, TWO, THREE = (completion_digest([1, 2], [n]) for n in (3, 4, 5))


def test_what_one_process_adds_another_reads(tmp_path: Path) -> None:
    first, second = ReferenceCache(tmp_path / "r"), ReferenceCache(tmp_path / "r")
    first.add({ONE: -1.5, TWO: -2.25})
    second.add({TWO: -2.25, THREE: -3.0})
    read = ReferenceCache(tmp_path / "r")
    assert [read.get(digest) for digest in (ONE, TWO, THREE)] == [-1.5, -2.25, -3.0]
    assert {path.suffix for path in (tmp_path / "r").iterdir()} == {".safetensors"}


def test_every_token_and_the_border_make_the_digest() -> None:
    made = [completion_digest(*ids) for ids in (([1, 2], [3]), ([1], [2, 3]), ([1, 2], [4]), ([12], [3]), ([1, 2], [3, 0]))]
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("where", [10, -1], ids=["header", "values"])
def test_a_changed_byte_is_computed_again_and_the_rest_stays(
    where: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = ReferenceCache(tmp_path)
    cache.add({ONE: -1.5})
    (chunk,) = tmp_path.iterdir()
    cache.add({TWO: -2.0})
    content = bytearray(chunk.read_bytes())
    content[where] ^= 1
    chunk.write_bytes(content)
    again = ReferenceCache(tmp_path)
    assert (again.get(ONE), again.get(TWO)) == (None, -2.0)
    assert "damaged; its reference log-probabilities are computed again" in capsys.readouterr().out
    assert not chunk.exists()


@pytest.mark.parametrize("changed", ["base", "weights", "settings", "dtype"])
def test_another_reference_has_another_folder(changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPC_ALIGN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 8}))
    before = reference_folder("b", tmp_path, torch.float32)
    assert reference_folder("b", tmp_path, torch.float32) == before
    assert before.is_relative_to(tmp_path / "cache")
    if changed == "weights":
        (tmp_path / "adapter_model.safetensors").write_bytes(b"weightz")
    elif changed == "settings":
        (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 9}))
    dtype = torch.bfloat16 if changed == "dtype" else torch.float32
    assert reference_folder("c" if changed == "base" else "b", tmp_path, dtype) != before


def test_an_interrupted_pass_goes_on_and_a_whole_one_is_not_repeated(
    tiny_model: Path, corpus_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpo.trainer._CHUNK", 1)
    computed: list[int] = []
    limit = 2
    original = GreetingDPOTrainer.compute_ref_log_probs

    def counted(self: Any, model: Any, inputs: Any) -> Any:
        if len(computed) == limit:
            raise KeyboardInterrupt
        computed.append(len(inputs["input_ids"]) // 2)
        return original(self, model, inputs)

    monkeypatch.setattr(GreetingDPOTrainer, "compute_ref_log_probs", counted)

    def start() -> Any:
        cache = ReferenceCache(tmp_path / "cache")
        return dpo_trainer(tiny_model, corpus_file, tmp_path / "run", reference=cache, per_device_eval_batch_size=2)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert sum(computed) == COUNT // 2
    limit = 100
    resumed = start()
    assert sum(computed) == COUNT, "the first half was kept"
    again = start()
    assert sum(computed) == COUNT, "nothing is left to compute"
    for column in ("ref_chosen_logps", "ref_rejected_logps"):
        assert list(again.train_dataset[column]) == list(resumed.train_dataset[column])
        assert all(value < 0 for value in again.train_dataset[column])
