"""The run folder: what resumes, what is refused, and that `adapter/` is whole or as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from npc_align.errors import UserError
from npc_align.files import write_text
from npc_align.modeling.identity import Identity, load_identity
from npc_align.training.run_folder import RunFolder, check_adapter
from sft.config import SFTRunConfig

IDENTITY = Identity("user_assistant", "0" * 16, "weapon_rental", "embedded", "1" * 16, 1, 256)
INPUTS = {"corpus": "a", "base": "b"}


def _checkpoint(folder: Path, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text("{}")
    whole = {"q.lora_A.weight": torch.ones(2, 4), "q.lora_B.weight": torch.ones(4, 2)}
    save_file(whole if tensors is None else tensors, folder / "adapter_model.safetensors")
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_command_opens_the_folder_again(tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path / "run"))
    for _ in range(2):
        folder.open(SFTRunConfig(), INPUTS)
    assert (folder.path / "config.yaml").read_text(encoding="utf-8").startswith("output_dir: runs/sft")


@pytest.mark.parametrize(
    ("config", "inputs", "message"),
    [
        (SFTRunConfig(seed=43), INPUTS, "holds a run of another config"),
        (SFTRunConfig(), {**INPUTS, "corpus": "c"}, "corpus changed since"),
        (SFTRunConfig(), {**INPUTS, "checks": "new"}, "checks changed since"),
    ],
)
def test_another_config_or_changed_inputs_are_refused(config: Any, inputs: dict[str, str], message: str, tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path))
    folder.open(SFTRunConfig(), INPUTS)
    before = _contents(tmp_path)
    with pytest.raises(UserError, match=message):
        folder.open(config, inputs)
    assert _contents(tmp_path) == before


def test_a_start_that_was_cut_off_starts_again(tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path))
    folder.open(SFTRunConfig(), INPUTS)
    (tmp_path / "inputs.json").unlink()
    folder.open(SFTRunConfig(seed=43), INPUTS)
    assert "seed: 43" in (tmp_path / "config.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("state", [None, "", '{"global_step": 1'])
def test_a_checkpoint_that_was_cut_off_is_passed_over(state: str | None, tmp_path: Path) -> None:
    for name, text in (("checkpoint-9", "{}"), ("checkpoint-10", "{}"), ("checkpoint-100", state)):
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "trainer_state.json").write_text(text)
    assert RunFolder(str(tmp_path)).last_checkpoint() == tmp_path / "checkpoint-10"


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-5").mkdir()
    assert RunFolder(str(tmp_path)).last_checkpoint() is None
    assert RunFolder(str(tmp_path / "nowhere")).last_checkpoint() is None


def test_publish_makes_a_whole_adapter(tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path))
    for value in (1.0, 2.0):
        checkpoint = _checkpoint(tmp_path / "checkpoint-1", {"q.lora_B.weight": torch.full((2, 2), value)})
        folder.publish(checkpoint, IDENTITY)
        weights = "adapter_model.safetensors"
        assert (folder.adapter / weights).read_bytes() == (checkpoint / weights).read_bytes()
        assert load_identity(folder.adapter) == IDENTITY
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "checkpoint-1"]


BROKEN = {
    "no tensors": {},
    "empty tensor": {"q.lora_A.weight": torch.ones(2, 4), "q.lora_B.weight": torch.ones(0)},
    "B all zero": {"q.lora_A.weight": torch.ones(2, 4), "q.lora_B.weight": torch.zeros(4, 2)},
}
MESSAGES = {"no tensors": "empty tensors", "empty tensor": "empty tensors", "B all zero": "every lora_B is zero"}


@pytest.mark.parametrize("broken", BROKEN)
def test_an_adapter_that_learnt_nothing_is_refused_and_the_old_one_stays(broken: str, tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path))
    folder.publish(_checkpoint(tmp_path / "checkpoint-1"), IDENTITY)
    before = _contents(folder.adapter)
    with pytest.raises(UserError, match=MESSAGES[broken]):
        folder.publish(_checkpoint(tmp_path / "checkpoint-2", BROKEN[broken]), IDENTITY)
    assert _contents(folder.adapter) == before


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_missing_or_damaged_weights_are_refused(damage: str, tmp_path: Path) -> None:
    file = _checkpoint(tmp_path) / "adapter_model.safetensors"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(UserError, match=r"adapter_model\.safetensors"):
        check_adapter(tmp_path)


@pytest.mark.parametrize("method", ["copy2", "save", "replace"])
def test_a_publish_that_fails_leaves_the_old_adapter(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(str(tmp_path))
    folder.publish(_checkpoint(tmp_path / "checkpoint-1"), IDENTITY)
    before = _contents(folder.adapter)
    replace = Path.replace

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    def no_new_adapter(self: Path, target: Path) -> Path:
        return full() if self.name == ".adapter.tmp" else replace(self, target)

    place = {"copy2": "shutil.copy2", "save": "npc_align.modeling.identity.Identity.save", "replace": "pathlib.Path.replace"}
    with monkeypatch.context() as patched:
        patched.setattr(place[method], no_new_adapter if method == "replace" else full)
        with pytest.raises(OSError, match="No space"):
            folder.publish(_checkpoint(tmp_path / "checkpoint-2", {"q.lora_B.weight": torch.ones(1, 1)}), IDENTITY)
    assert _contents(folder.adapter) == before
    folder.publish(tmp_path / "checkpoint-2", IDENTITY)
    assert _contents(folder.adapter) != before


def test_finished_needs_result_and_adapter(tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path))
    assert not folder.finished
    folder.finish({"best_checkpoint": "checkpoint-1"})
    assert not folder.finished
    folder.publish(_checkpoint(tmp_path / "checkpoint-1"), IDENTITY)
    assert folder.finished
    (tmp_path / "result.json").unlink()
    assert not folder.finished


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "result.json"
    write_text(file, json.dumps({"한글": 1}, ensure_ascii=False))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            write_text(file, "new")
    assert json.loads(file.read_text(encoding="utf-8")) == {"한글": 1}
    assert list(tmp_path.iterdir()) == [file]
