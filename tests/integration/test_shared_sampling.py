"""npc-pref generate under accelerate launch: two processes on one store add what one process adds."""

from __future__ import annotations

from pathlib import Path

from preference_data.cli import main
from preference_data.store_file import open_store
from tests.integration.conftest import BIN, Commands, free_port


def sampled(path: Path) -> list[tuple[str, str]]:
    store = open_store(path)
    found = [(c.prompt_id, c.line) for c in store.candidates("", "json_extract(c.origin, '$.kind') = 'sampled'")]
    store.close()
    return sorted(found)


def test_two_processes_add_what_one_adds(commands: Commands, tiny_model: Path, small_corpus: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    options = ("--model", tiny_model, "--corpus", small_corpus, "--samples", "2", "--max-new-tokens", "6", "--batch-size", "16")
    commands.tool("npc-pref", "init", "--store", one)
    commands.tool("npc-pref", "init", "--store", two)
    alone = commands.tool("npc-pref", "generate", "--store", one, *options)
    # As documented for GPUs; with --cpu, accelerate starts one process whatever the number.
    launcher = ("--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no")
    launcher += ("--main_process_port", str(free_port()))
    shared = commands.run(
        BIN / "accelerate", "launch", *launcher, BIN / "npc-pref", "generate", "--store", two, *options, OMP_NUM_THREADS="1"
    )
    assert "(process" not in alone.stderr
    assert {f"(process {n} of 2)" in shared.stderr for n in (1, 2)} == {True}
    assert len(sampled(one)) > 64, "more than one chunk, so that both have something to do"
    assert sampled(two) == sampled(one)


def test_a_chunk_fills_a_batch(commands: Commands, tiny_model: Path, small_corpus: Path, tmp_path: Path) -> None:
    """Chunks have seeds of their own, so a sample's seed tells its chunk."""
    seeds = {}
    for batch_size in ("16", "1024"):
        path = tmp_path / f"{batch_size}.db"
        options = ("--model", tiny_model, "--corpus", small_corpus, "--max-new-tokens", "2", "--batch-size", batch_size)
        commands.inside(main, "init", "--store", path)
        commands.inside(main, "generate", "--store", path, *options, "--temperature", "0", "--samples", "1")
        store = open_store(path)
        origins = [c.origin for c in store.candidates("", "json_extract(c.origin, '$.kind') = 'sampled'")]
        store.close()
        assert {str(origin["decoding"]) for origin in origins} == {"{'do_sample': False, 'max_new_tokens': 2}"}
        seeds[batch_size] = {origin["seed"] for origin in origins}
    assert len(seeds["16"]) > 1
    assert seeds["1024"] == {0}
