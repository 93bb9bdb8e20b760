"""TRL's own trainers, unchanged, train on what npc-pref exports: a store that a person labelled, one optimizer step each."""

from __future__ import annotations

from pathlib import Path

import pytest

from preference_data.export import export
from preference_data.judgements import Judgement, judge
from preference_data.store import NewCandidate, content_id
from preference_data.store_file import create_store
from preference_data.tasks import add_tasks, all_tasks

pytest.importorskip("trl", reason="the extra [train] is missing: TRL was NOT run on the exports")

_CHOICES = {"pair": ("first", "second", "both_bad", "first"), "line": ("good", "bad", "good", "bad")}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with dpo.jsonl, kto.jsonl and sft.jsonl."""
    folder = tmp_path_factory.mktemp("exports")
    store = create_store(folder / "prefs.db", "weapon_rental")
    for number, attributes in enumerate(store.domain.draw(8, seed=1)):
        texts = [f"{number}번째로 인사드립니다.", f"야, {number}번째다."]
        store.add_candidates(NewCandidate(attributes, text, {"kind": "imported"}) for text in texts)
        prompt = store.prompt_id(attributes)
        first, second = (content_id(prompt, text) for text in texts)
        add_tasks(store, [(prompt, first, second if number < 4 else None, {})])
    for mode, choices in _CHOICES.items():
        for task, choice in zip(all_tasks(store, "mode = ?", (mode,)), choices, strict=True):
            judge(store, task.id, "min", Judgement(choice))
    for form in ("dpo", "kto", "sft"):
        export(store, folder / f"{form}.jsonl", form, judged_only=True)
    store.close()
    return folder


@pytest.mark.parametrize(("form", "rows"), [("dpo", 3), ("kto", 12), ("sft", 5)])
def test_trl_trains_on_the_file_as_it_is(exports: Path, tiny_model: Path, tmp_path: Path, form: str, rows: int) -> None:
    import datasets
    import trl
    from transformers import AutoModelForCausalLM, AutoTokenizer

    data = datasets.load_dataset(
        "json", data_files=str(exports / f"{form}.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(data) == rows
    config = getattr(trl, f"{form.upper()}Config")(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=2,
        activation_checkpointing=False,
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        report_to=[],
        learning_rate=1e-3,
        warmup_steps=0,
    )
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    trainer = getattr(trl, f"{form.upper()}Trainer")(
        model=model, args=config, train_dataset=data, processing_class=AutoTokenizer.from_pretrained(tiny_model)
    )
    assert len(trainer.train_dataset) == rows
    trainer.train()
    assert any(not weight.equal(before[name]) for name, weight in model.named_parameters())
