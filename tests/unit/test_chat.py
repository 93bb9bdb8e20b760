"""npc-chat: what it says is what evaluation measures, knobs reach the decoder, bad input is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.evaluation.asking import read_attributes
from npc_align.evaluation.chat import _decoding, main
from npc_align.evaluation.speaker import Speaker
from npc_align.modeling.device import Device
from npc_align.modeling.generation import Decoding, Line, generate_lines
from npc_align.prompt import render, render_message

DOMAIN = load_domain("weapon_rental")
CPU = Device("cpu", torch.float32, threads=1, fast_bf16=False)
ADVENTURER = dict(DOMAIN.probes[0])


@pytest.fixture(scope="module")
def speaker(tiny_model: Path) -> Speaker:
    return Speaker.load("", str(tiny_model), Decoding(max_new_tokens=12), CPU, None)


def test_greedy_answers_are_those_of_generate_lines(speaker: Speaker) -> None:
    prompts = [render(probe, DOMAIN) for probe in DOMAIN.probes]
    said = [speaker.say(prompt, stream=False) for prompt in prompts]
    assert said == generate_lines(speaker.loaded.model, speaker.loaded.codec, prompts, speaker.decoding)


def test_what_streams_is_the_answer(speaker: Speaker, capsys: pytest.CaptureFixture[str]) -> None:
    line = speaker.say(render(ADVENTURER, DOMAIN), stream=True)
    assert capsys.readouterr().out.strip() == line.text


def test_the_generation_config_that_a_model_ships_plays_no_part(tiny_model: Path) -> None:
    speaker = Speaker.load("", str(tiny_model), Decoding(max_new_tokens=4), CPU, None)
    assert set(speaker.loaded.model.generation_config.to_diff_dict()) <= {
        "bos_token_id", "eos_token_id", "pad_token_id", "transformers_version"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "tokens", "given", "expected"),
    [
        ("default", None, {}, Decoding()),
        ("default", 9, {"repetition_penalty": 1.1}, Decoding("default", 9, {"repetition_penalty": 1.1})),
        ("default", None, {"top_p": 0.9}, Decoding("default", 64, {"top_p": 0.9, "do_sample": True})),
        ("log2-trial2", None, {"temperature": None}, Decoding("log2-trial2", 50, {"do_sample": False})),
    ],
)
def test_a_sampling_knob_makes_it_sample_and_nothing_else_does(
    preset: str, tokens: int | None, given: dict[str, float | None], expected: Decoding
) -> None:
    assert _decoding(preset, tokens, given) == expected


def test_a_free_message_is_wrapped_as_attributes_are() -> None:
    assert render_message("안녕하세요") == "### User:\n안녕하세요\n\n### Assistant:\n"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ADVENTURER),
        json.dumps({"attributes": ADVENTURER}),
        json.dumps([ADVENTURER | {DOMAIN.line_key: "한 줄"}], ensure_ascii=False, indent=1),
        "\ufeff" + json.dumps(ADVENTURER) + "\n\n",
    ],
)
def test_attributes_are_read_in_each_form(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text, encoding="utf-8")
    assert read_attributes(file, DOMAIN) == [ADVENTURER]


def test_several_are_read_one_per_line(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(dict(p)) + "\n" for p in DOMAIN.probes), encoding="utf-8")
    assert read_attributes(file, DOMAIN) == [dict(p) for p in DOMAIN.probes]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing in it"),
        ("[]", "nothing in it"),
        ("{}\n{", "2: not JSON"),
        ("3", "must be an object"),
        ('{"없는것": 1}', "record 1: .*없는것"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_attributes(file, DOMAIN)


def test_once_prints_one_line_per_set_of_attributes(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps([dict(p) for p in DOMAIN.probes]), encoding="utf-8")
    command = ["--model", str(tiny_model), "--once", "--attributes", str(file), "--max-new-tokens", "6", "--json"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    rows: list[dict[str, Any]] = [json.loads(row) for row in done.stdout.splitlines()]
    assert [row["attributes"] for row in rows] == [dict(p) for p in DOMAIN.probes]
    assert done.stderr == "", "a script reads it"
    assert all(set(row) == {"model", "attributes", "line", "finished", "violations"} for row in rows)


def test_a_bad_file_is_told_before_any_model_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Speaker, "load", lambda *_: pytest.fail("a model was loaded"))
    file = tmp_path / "a.json"
    file.write_text('{"없는것": 1}', encoding="utf-8")
    done = CliRunner().invoke(main, ["--model", "embedded", "--once", "--attributes", str(file)])
    assert done.exit_code == 1
    assert "없는것" in done.stderr


def test_free_chat_answers_with_both_models_until_input_ends(tiny_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.symlink_to(tiny_model)
    command = ["--model", str(tiny_model), "--compare", str(other), "--free", "--max-new-tokens", "4"]
    done = CliRunner().invoke(main, command, input="안녕하세요\n날씨 어때?\n")
    assert done.exit_code == 0, done.output
    assert [done.stdout.count(f"\n{label}> ") + done.stdout.count(f"> {label}> ") for label in "AB"] == [2, 2]


@pytest.mark.parametrize(
    "extra", [["--once"], ["--attributes", "a.json"], ["--json"], ["--once", "--attributes", "a.json", "--free"]]
)
def test_options_that_mean_nothing_together_are_refused(extra: list[str]) -> None:
    done = CliRunner().invoke(main, ["--model", "x", *extra])
    assert done.exit_code == 2
    assert "go together" in done.stderr


def test_a_line_of_several_lines_is_one_line_of_output(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Speaker, "say", lambda *_, **__: Line("첫 줄\n\n둘째 줄", True))
    file = tmp_path / "a.json"
    file.write_text(json.dumps([dict(p) for p in DOMAIN.probes]), encoding="utf-8")
    done = CliRunner().invoke(main, ["--model", str(tiny_model), "--once", "--attributes", str(file)])
    assert done.stdout.splitlines() == ["첫 줄 둘째 줄"] * len(DOMAIN.probes)
