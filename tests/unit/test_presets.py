"""Decodings that come to the same, the search's settings, and what a server does when it is told nothing."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from npc_align.errors import UserError
from npc_align.evaluation.cli import main
from npc_align.evaluation.presets import distinct_decodings, effective, groups, named_decodings, search_settings
from npc_align.modeling.generation import Decoding


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"do_sample": False, "temperature": 0.5, "top_p": 0.9, "min_p": 0.1}),
        ({"repetition_penalty": 1.0, "repetition_window": 64}, {}),
        ({"do_sample": True}, {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 50, "temperature_last": True}),
        ({"do_sample": True, "top_k": 0}, {"do_sample": True, "top_k": 0, "repetition_penalty": 1.0}),
    ],
)
def test_knobs_that_do_nothing_make_no_other_decoding(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert effective(Decoding(knobs=first)) == effective(Decoding("other", knobs=second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"do_sample": True}),
        ({}, {"repetition_penalty": 1.2}),
        ({"repetition_penalty": 1.2}, {"repetition_penalty": 1.2, "repetition_window": 64}),
        ({"do_sample": True}, {"do_sample": True, "top_k": 0}),
        ({"do_sample": True, "temperature": 0.8}, {"do_sample": True, "temperature": 0.8, "temperature_last": True}),
    ],
)
def test_knobs_that_do_something_make_another(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert effective(Decoding(knobs=first)) != effective(Decoding(knobs=second))


def test_a_longer_limit_is_another_decoding() -> None:
    assert effective(Decoding(max_new_tokens=50)) != effective(Decoding(max_new_tokens=64))


def test_the_seeds_thirteen_trials_are_nine_decodings() -> None:
    same = distinct_decodings(groups()["seeds"])
    assert len(same) == 9
    assert same["log2-trial1"] == ["log3-trial1", "log4-trial1"]
    assert same["log2-trial2"] == ["log3-trial2", "log4-trial2", "log5-trial1"]


def test_servers_told_nothing() -> None:
    said = {d.name: dict(d.knobs) for d in groups()["servers"]}
    assert said == {
        "vllm": {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0},
        "llama.cpp": {
            "do_sample": True, "temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "temperature_last": True,
        },
        "ollama": {
            "do_sample": True, "temperature": 0.8, "top_k": 40, "top_p": 0.9, "repetition_penalty": 1.1, "repetition_window": 64,
        },
    }  # fmt: skip


def test_a_small_search_has_greedy_and_sampled_settings_and_a_larger_one_contains_it() -> None:
    small, large = search_settings(4), search_settings(48)
    assert [bool(d.knobs.get("do_sample")) for d in small] == [False, True, True, True]
    assert large[:4] == small
    assert len(distinct_decodings(large)) == 48
    with pytest.raises(UserError, match="48 settings"):
        search_settings(49)


def test_the_list_names_every_preset_under_its_group_and_the_search() -> None:
    done = CliRunner().invoke(main, ["presets"])
    assert done.exit_code == 0
    listed: dict[str, list[str]] = {}
    for row in filter(None, done.output.splitlines()):
        name = row.strip().split(": ")[0]
        if row.startswith(" "):
            listed[list(listed)[-1]].append(name)
        else:
            listed[name] = []
    assert listed == {"default": [], **{name: [d.name for d in group] for name, group in groups().items()}, "search": []}
    assert {"servers", "seeds"} <= groups().keys()
    assert [d.name for d in named_decodings(["servers", "seeds", "search"])] == [*listed["servers"], *listed["seeds"]]
