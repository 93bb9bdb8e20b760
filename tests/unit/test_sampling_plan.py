"""What counts as the same sampling: whatever changes the lines makes another plan, nothing else does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from own_domain import own_domain

from npc_align.domain import Domain, default_corpus, load_domain
from npc_align.errors import UserError

DOMAIN = load_domain("weapon_rental")


@pytest.fixture
def whole_model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes(b"{}")
    return folder


@dataclass(frozen=True)
class Folder:
    """A sampler that is no more than a model's folder."""

    name: str

    def identity(self) -> str:
        from preference_data.local_model import weights_identity

        return weights_identity(self.name)


def plan_of(model: Path, domain: Domain, batch_size: int = 8, max_new_tokens: int = 64, corpus: Path | None = None) -> str:
    from preference_data.generate import Sampling, _plan

    sampling = Sampling(2, 1.0, 1.0, 0, max_new_tokens)
    sampler: Any = Folder(str(model))
    return _plan(sampler, domain, corpus or default_corpus("weapon_rental"), sampling, batch_size)


def test_temperature_0_is_greedy_decoding_of_one_line() -> None:
    from preference_data.generate import Sampling

    assert Sampling(1, 0.0, 1.0, 0, 64).knobs == {"do_sample": False}
    with pytest.raises(UserError, match=r"--temperature 0 is greedy decoding.*add --samples 1 \(it is 2\)"):
        Sampling(2, 0.0, 1.0, 0, 64)


def test_other_splits_are_another_plan(whole_model: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_bytes(default_corpus("weapon_rental").read_bytes())
    before = plan_of(whole_model, DOMAIN, corpus=corpus)
    corpus.with_suffix(".splits.json").write_text('{"validation": [], "test": []}', encoding="utf-8")
    assert plan_of(whole_model, DOMAIN, corpus=corpus) != before


def test_whatever_changes_the_lines_changes_the_plan(whole_model: Path, tmp_path: Path) -> None:
    before = plan_of(whole_model, DOMAIN)
    assert plan_of(whole_model, DOMAIN) == before
    others = {
        plan_of(whole_model, DOMAIN, batch_size=4),
        plan_of(whole_model, DOMAIN, max_new_tokens=32),
        plan_of(whole_model, load_domain(str(own_domain(tmp_path, banned_words=["술"])))),
    }
    os.utime(whole_model / "model.safetensors", ns=(1, 1))
    others.add(plan_of(whole_model, DOMAIN))
    (whole_model / "adapter_config.json").write_text("{}", encoding="utf-8")
    for weights in (b"one", b"two"):
        (whole_model / "adapter_model.safetensors").write_bytes(weights)
        others.add(plan_of(whole_model, DOMAIN))
    assert len(others - {before}) == 6
