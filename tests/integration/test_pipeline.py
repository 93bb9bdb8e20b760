"""The whole pipeline through its real command lines, on a tiny randomly initialised model."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dpo.train import main as dpo_train
from npc_align.evaluation.cli import main as npc_eval
from npc_align.evaluation.judges.held_out import held_out_kinds
from sft.train import main as sft_train
from tests.integration.conftest import BIN, ROOT, SAMPLING, Commands, adapter_tensors, metrics


def test_sft_leaves_a_whole_run_folder(sft_run: Path) -> None:
    for name in ("config.yaml", "manifest.json", "metrics.jsonl", "loss.png", "result.json", "adapter/npc_align.json"):
        assert (sft_run / name).stat().st_size > 0, name
    assert yaml.safe_load((sft_run / "config.yaml").read_text())["lora"]["r"] == 4
    manifest = json.loads((sft_run / "manifest.json").read_text())
    assert manifest["lora_layers"] == {
        "q_proj": 2,
        "k_proj": 2,
        "v_proj": 2,
        "o_proj": 2,
        "gate_proj": 2,
        "up_proj": 2,
        "down_proj": 2,
    }
    assert set(manifest["inputs"]) == {"corpus", "splits", "domain", "base"}
    assert manifest["checks"], "which rules judged is recorded; a change of rules alone refuses no run"
    evaluations = [row for row in metrics(sft_run) if "eval_loss" in row]
    assert len(evaluations) == 2, "held-out loss every epoch"
    assert {"eval_violation_rate", "eval_selection"} <= set(evaluations[0])
    samples = sorted((sft_run / "samples").glob("step-*.jsonl"))
    assert len(samples) == 2
    assert len(samples[0].read_text().splitlines()) == 6 + 4, "the domain's probes and four validation prompts"


def test_sft_learns_and_changes_every_lora_tensor(sft_run: Path) -> None:
    losses = [row["loss"] for row in metrics(sft_run) if "loss" in row]
    assert losses[-1] < losses[0] - 0.05  # the random base is frozen, so a small adapter moves it slowly
    tensors = adapter_tensors(sft_run / "adapter")
    assert len(tensors) == 2 * 14
    assert all(bool(t.any()) for name, t in tensors.items() if "lora_B" in name)


def test_best_checkpoint_becomes_the_adapter(sft_run: Path) -> None:
    best = json.loads((sft_run / "result.json").read_text())["best_checkpoint"]
    losses = {row["step"]: row["eval_loss"] for row in metrics(sft_run) if "eval_loss" in row}
    assert best == f"checkpoint-{min(losses, key=lambda s: losses[s])}"
    best_tensors, published = adapter_tensors(sft_run / best), adapter_tensors(sft_run / "adapter")
    assert all(torch.equal(best_tensors[k], published[k]) for k in published)


def test_finished_run_is_reused(commands: Commands, sft_run: Path, sft_arguments: Sequence[str]) -> None:
    before = (sft_run / "adapter/adapter_model.safetensors").stat().st_mtime_ns
    done = commands.inside(sft_train, "output_dir=runs/sft", *sft_arguments)
    assert "finished before" in done.stdout
    assert (sft_run / "adapter/adapter_model.safetensors").stat().st_mtime_ns == before


def test_another_config_in_the_same_folder_is_refused(commands: Commands, sft_run: Path, sft_arguments: Sequence[str]) -> None:
    done = commands.inside(sft_train, "output_dir=runs/sft", *sft_arguments, "lora.r=8", exit_code=1)
    assert "another config" in done.stderr


def test_killed_run_resumes_to_the_same_weights(commands: Commands, sft_run: Path, sft_arguments: Sequence[str]) -> None:
    target = commands.work / "runs/killed"
    command = [BIN / "python", ROOT / "sft/train.py", "output_dir=runs/killed", *sft_arguments]
    environment = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(commands.work)}
    process = subprocess.Popen(
        [str(c) for c in command], cwd=commands.work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 600  # of no meaning but that a hanging run ends the test, on a busy machine too
    while not list(target.glob("checkpoint-*/trainer_state.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (target / "result.json").exists(), "killed too late to show anything"
    assert list(target.glob("checkpoint-*"))
    done = commands.script("sft/train.py", "output_dir=runs/killed", *sft_arguments)
    assert "resuming from" in done.stdout
    whole, resumed = (adapter_tensors(max(run.glob("checkpoint-*"), key=lambda p: int(p.name[11:]))) for run in (sft_run, target))
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)
    steps = [row["step"] for row in metrics(target) if "eval_loss" in row]
    assert steps == sorted(set(steps)), "no step is logged twice"


def candidates_of(store_path: Path) -> dict[str, tuple[str, str | None, dict[str, Any]]]:
    """Prompt, line and attributes of each sampled candidate, by id."""
    from preference_data.store_file import open_store

    store = open_store(store_path)
    found = {c.id: (c.line, c.text, dict(c.attributes)) for c in store.candidates(store.rules) if c.origin["kind"] == "sampled"}
    store.close()
    return found


def test_candidates_come_from_training_prompts_only(preferences: Path, small_corpus: Path) -> None:
    from npc_align.corpus import read_examples
    from npc_align.domain import load_domain
    from npc_align.splits import split_examples

    domain = load_domain("weapon_rental")
    splits = split_examples(read_examples(small_corpus, domain), domain)
    seen = {domain.combination(attributes) for _, _, attributes in candidates_of(preferences.with_name("prefs.db")).values()}
    held_out = {domain.combination(e.attributes) for name in ("validation", "test") for e in splits[name]}
    assert len(seen) == 40
    assert not seen & held_out


def test_interrupted_sampling_goes_on_to_the_same_candidates(
    commands: Commands, preferences: Path, sft_run: Path, small_corpus: Path
) -> None:
    """A kill between two chunks leaves some lines, without the note that they are done; the same command adds the others."""
    store_path, half = commands.work / "runs/again.db", "json_extract(origin, '$.kind') = 'sampled' AND id < '8'"
    with sqlite3.connect(preferences.with_name("prefs.db")) as whole, sqlite3.connect(store_path) as db:
        whole.backup(db)
        db.execute("DELETE FROM meta WHERE key LIKE 'sampled:%'")
        assert db.execute(f"DELETE FROM candidate WHERE {half}").rowcount > 10
    for connection in (whole, db):
        connection.close()
    commands.tool("npc-pref", "generate", "--store", store_path, "--model", sft_run, "--corpus", small_corpus, *SAMPLING)
    assert candidates_of(store_path) == candidates_of(preferences.with_name("prefs.db"))


def test_preferences_are_trl_records(preferences: Path) -> None:
    rows = [json.loads(row) for row in preferences.read_text().splitlines()]
    assert rows
    for row in rows:
        assert {"prompt", "chosen", "rejected", "attributes", "group"} <= set(row)
        assert row["chosen"] != row["rejected"]


def test_dpo_starts_at_the_reference_and_continues_the_one_adapter(sft_run: Path, dpo_run: Path) -> None:
    rows = metrics(dpo_run)
    first = next(row for row in rows if "loss" in row)
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-4), "policy equals reference before the first update"
    before, after = (
        adapter_tensors(sft_run / "adapter"),
        adapter_tensors(max(dpo_run.glob("checkpoint-*"), key=lambda p: int(p.name[11:]))),
    )
    assert set(before) == set(after), "the SFT adapter is continued, no second one is carried along"
    assert all(not torch.equal(before[k], after[k]) for k in before)
    manifest = json.loads((dpo_run / "manifest.json").read_text())
    assert manifest["reference"]["hash"] == manifest["inputs"]["adapter"]
    assert held_out_kinds([str(sft_run), str(dpo_run)]) == ("josa_error",), "what the pairs kept out reaches the judges"


def test_dpo_chooses_by_greedy_violations(dpo_run: Path) -> None:
    scores = {row["step"]: row["eval_selection"] for row in metrics(dpo_run) if "eval_selection" in row and row["step"] > 0}
    best = json.loads((dpo_run / "result.json").read_text())["best_checkpoint"]
    assert best == f"checkpoint-{min(scores, key=lambda s: scores[s])}"


def test_the_last_step_is_evaluated_and_no_step_twice(sft_run: Path, dpo_run: Path) -> None:
    for run in (sft_run, dpo_run):
        rows = metrics(run)
        evaluated = [row["step"] for row in rows if "eval_selection" in row]
        assert evaluated[-1] == max(row["step"] for row in rows)
        assert len(set(evaluated)) == len(evaluated)


def test_dpo_refuses_prompts_of_another_renderer(commands: Commands, dpo_arguments: Sequence[str], preferences: Path) -> None:
    changed = commands.work / "changed.jsonl"
    changed.write_text(preferences.read_text().replace("### User:", "### Human:"))
    done = commands.inside(dpo_train, "output_dir=runs/refused", *dpo_arguments, f"data.pairs={changed}", exit_code=1)
    assert "renderer" in done.stderr


def test_eval_run_reports_all_models(
    commands: Commands, tiny_model: Path, small_corpus: Path, sft_run: Path, dpo_run: Path
) -> None:
    models = ("--model", f"base={tiny_model}", "--model", f"sft={sft_run}", "--model", f"dpo={dpo_run}")
    arguments = (*models, "--corpus", small_corpus, "--references", "6", "--prompts", "8", "--output", "runs/eval", "--json")
    done = commands.tool("npc-eval", "run", *arguments)
    result = json.loads(done.stdout)
    assert list(result["models"]) == ["base", "sft", "dpo"]
    assert "8 prompts, 6 reference lines" in done.stderr
    assert result["models"]["sft"]["held_out_loss"] < result["models"]["base"]["held_out_loss"]
    compared = [(d["first"]["model"], d["second"]["model"]) for d in result["differences"]]
    assert compared == [("base", "sft"), ("sft", "dpo")]
    report = (commands.work / "runs/eval/report.md").read_text()
    assert "| dpo | default |" in report
    assert "held-out loss" in report
    assert "### dpo" in report, "the runs that the models come from are found"
    assert (commands.work / "runs/eval/report.html").is_file()
    again = commands.inside(npc_eval, "run", *arguments)
    assert json.loads(again.stdout) == result
    assert again.stderr.count("measured before") == 3


def test_eval_grid_ends_with_the_decoding_gap(commands: Commands, small_corpus: Path, sft_run: Path, dpo_run: Path) -> None:
    arguments = (
        "--model", f"sft={sft_run}", "--model", f"dpo={dpo_run}", "--corpus", small_corpus, "--references", "4",
        "--prompts", "4", "--decodings", "ollama,search", "--search", "1", "--search-prompts", "3", "--output", "runs/grid",
    )  # fmt: skip
    done = commands.tool("npc-eval", "grid", *arguments)
    assert "decoding gap: " in done.stdout
    result = json.loads((commands.work / "runs/grid/result.json").read_text())
    headline = result["headline"]
    assert (headline["aligned"], headline["tuned"], headline["chosen_on"]["tried"]) == ("dpo", "sft", 3)
    for cell in result["cells"]:
        lines = (commands.work / "runs/grid" / cell["lines"]).read_text(encoding="utf-8").rstrip("\n").split("\n")
        assert len(lines) == 1 + 4
    again = commands.inside(npc_eval, "grid", *arguments, "--json")
    assert json.loads(again.stdout) == result
    assert "Loading weights" not in again.stderr


def test_merged_model_speaks_the_same_under_a_plain_generate(commands: Commands, sft_run: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from npc_align.domain import load_domain
    from npc_align.modeling.generation import Decoding, generate_lines
    from npc_align.modeling.load import load_for_generation
    from npc_align.prompt import render

    merged = commands.work / "merged"
    commands.tool("npc-eval", "merge", sft_run, merged, "--dtype", "float32")
    shipped = json.loads((merged / "generation_config.json").read_text())
    assert set(shipped) - {"transformers_version", "_from_model_config"} == {"eos_token_id", "pad_token_id", "bos_token_id"}
    loaded = load_for_generation(str(sft_run), torch.float32)
    domain = load_domain("weapon_rental")
    prompts = [render(probe, domain) for probe in domain.probes]
    ours = [line.text for line in generate_lines(loaded.model, loaded.codec, prompts, Decoding(max_new_tokens=24), batch_size=2)]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(merged), AutoTokenizer.from_pretrained(merged)
    theirs = []
    for prompt in prompts:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(prompt, add_special_tokens=False).input_ids]])
        output: Any = model.generate(ids, max_new_tokens=24)
        theirs.append(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True).strip())
    assert theirs == ours


def test_chat_answers_with_a_line(commands: Commands, sft_run: Path) -> None:
    answers = "전사\n2\n\n5\n단골\n검\n최근\n대성공\n존칭형\n"
    done = subprocess.run(
        [str(BIN / "npc-chat"), "--model", str(sft_run)],
        input=answers,
        capture_output=True,
        text=True,
        cwd=commands.work,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "성격" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_run_that_drifts_past_a_bound_stops_and_keeps_its_best(commands: Commands, sft_arguments: Sequence[str]) -> None:
    done = commands.script("sft/train.py", "output_dir=runs/drift", *sft_arguments, "drift.length=0.01")
    run = commands.work / "runs/drift"
    evaluations = [row for row in metrics(run) if "eval_loss" in row]
    assert [row["epoch"] for row in evaluations] == [1.0], "two epochs were asked for"
    assert abs(evaluations[0]["eval_length_drift"]) > 0.01
    assert "beyond drift.length=0.01" in done.stdout
    assert (run / "adapter/adapter_model.safetensors").is_file()


def test_interrupted_dpo_resumes_to_the_same_weights(commands: Commands, dpo_run: Path, dpo_arguments: Sequence[str]) -> None:
    target = commands.work / "runs/dpo-killed"
    shutil.copytree(dpo_run, target)
    checkpoints = sorted(target.glob("checkpoint-*"), key=lambda p: int(p.name[11:]))
    for path in (target / "result.json", *checkpoints[1:], target / "adapter"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    config = (target / "config.yaml").read_text().replace("runs/dpo", "runs/dpo-killed")
    (target / "config.yaml").write_text(config)
    with (target / "metrics.jsonl").open("a") as out:
        out.write('{"step": 9')  # a killed run may leave half a row
    done = commands.script("dpo/train.py", "output_dir=runs/dpo-killed", *dpo_arguments)
    assert "resuming from" in done.stdout
    last = checkpoints[-1].name
    whole, resumed = adapter_tensors(dpo_run / last), adapter_tensors(target / last)
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)
    steps = [row["step"] for row in metrics(target) if "eval_loss" in row]
    assert steps == sorted(set(steps)), "no step is evaluated twice"


def test_a_checkpoint_loads_like_an_adapter(commands: Commands, sft_run: Path, small_corpus: Path) -> None:
    checkpoint = next(sft_run.glob("checkpoint-*"))
    arguments = ("--model", f"at={checkpoint}", "--corpus", small_corpus, "--prompts", "4", "--output", "runs/at", "--json")
    done = commands.inside(npc_eval, "run", *arguments)
    assert json.loads(done.stdout)["cells"][0]["summary"]["prompts"] == 4
