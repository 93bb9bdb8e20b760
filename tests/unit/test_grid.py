"""The grid's arithmetic and bookkeeping, with models that say what a table tells them to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from npc_align.corpus import Example
from npc_align.domain import Attributes, load_domain
from npc_align.errors import UserError
from npc_align.evaluation import cells, grid
from npc_align.evaluation.cli import main
from npc_align.evaluation.folder import CellName, JudgedLine, Result, read_lines, read_result, read_stored
from npc_align.evaluation.grid import Plan, evaluate
from npc_align.evaluation.presets import named_decodings, search_settings
from npc_align.evaluation.run import Inputs, Request
from npc_align.modeling.generation import Decoding

DOMAIN = load_domain("weapon_rental")
DRAWN = DOMAIN.draw(14, 1)
TEST, VALIDATION = DRAWN[:8], DRAWN[8:]
SAMPLED = Decoding("sampled", knobs={"do_sample": True, "temperature": 0.7})
SAME = Decoding("same", knobs={"do_sample": True, "temperature": 0.7, "min_p": None})
FAULT = {"kind": "length", "start": 0, "end": 1, "message": "짧음"}


@dataclass
class World:
    """Bad lines per (model, decoding) among test and validation prompts; what was generated; the rules in force."""

    output: Path
    bad: dict[tuple[str, str], int] = field(default_factory=dict)
    bad_on_validation: dict[tuple[str, str], int] = field(default_factory=dict)
    generated: list[tuple[str, str, str]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    rechecked: int = 0
    rules: str = "rules-1"
    weights: str = ""
    dies_at: str = ""

    def load(self, path: str, *_: Any, **__: Any) -> Any:
        self.loaded.append(path)
        return SimpleNamespace(name=path)

    def generate(self, loaded: Any, prompts: Sequence[Attributes], decoding: Decoding, **asked: Any) -> list[JudgedLine]:
        if decoding.name == self.dies_at:
            raise KeyboardInterrupt
        on_test = list(prompts) == TEST
        self.generated.append((loaded.name, decoding.name, "test" if on_test else "validation"))
        asked["progress"](len(prompts))
        bad = (self.bad if on_test else self.bad_on_validation).get((loaded.name, decoding.name), 0)
        return [JudgedLine(a, f"{i}번째 줄", True, [FAULT] if i < bad else []) for i, a in enumerate(prompts)]

    def judge(self, attributes: Attributes, line: str, finished: bool, _: Any) -> JudgedLine:
        self.rechecked += 1
        return JudgedLine(attributes, line, finished, [FAULT])

    def run(self, *labels: str, seed: int = 0, **plan: Any) -> Result:
        plan.setdefault("decodings", (Decoding(), SAMPLED))
        models = tuple((label, label) for label in labels or ("base", "sft", "dpo"))
        return evaluate(Request(models, self.output, "weapon_rental", seed=seed), Plan(**plan))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    reference = Example(TEST[0], "어서 오세요.", "1")
    monkeypatch.setattr(cells, "load_for_generation", made.load)
    monkeypatch.setattr(cells, "generated_lines", made.generate)
    monkeypatch.setattr(cells, "judged", made.judge)
    monkeypatch.setattr(cells, "held_out_loss", lambda *_, **__: 2.0)
    monkeypatch.setattr(cells, "weights_stamp", lambda path: f"{path} {made.weights}")
    for module in (cells, grid):
        monkeypatch.setattr(module, "rules_hash", lambda _: made.rules)
    monkeypatch.setattr(grid, "load_inputs", lambda _: Inputs(DOMAIN, TEST, [reference], VALIDATION))
    monkeypatch.setattr(grid, "versions", lambda: {"torch": "2"})
    return made


def names(result: Result) -> list[tuple[str, str]]:
    return [(cell.model, cell.decoding) for cell in result.cells]


def test_base_speaks_under_default_decoding_only(world: World) -> None:
    result = world.run()
    assert names(result) == [("base", "default"), *((m, d) for m in ("sft", "dpo") for d in ("default", "sampled"))]
    assert names(world.run(all_cells=True))[:2] == [("base", "default"), ("base", "sampled")]


def test_every_model_is_loaded_once_for_all_its_cells(world: World) -> None:
    world.run(all_cells=True)
    assert world.loaded == ["base", "sft", "dpo"]


def test_decodings_that_come_to_the_same_are_run_once(world: World) -> None:
    result = world.run("sft", decodings=(Decoding(), SAMPLED, SAME))
    assert [g[1] for g in world.generated] == ["default", "sampled"]
    cell = result.cell("sft", "same")
    assert cell is not None
    assert (cell.decoding, cell.also) == ("sampled", ["same"])


def test_the_folder_holds_result_lines_and_report(world: World) -> None:
    world.bad[("sft", "default")] = 3
    result = world.run()
    assert read_result(world.output) == result
    cell = result.cell("sft", "default")
    assert cell is not None
    assert [line.bad for line in read_lines(world.output, cell)] == [True] * 3 + [False] * 5
    assert cell.summary["violations"]["value"] == 3 / 8
    assert result.models["base"].perplexity == pytest.approx(math.exp(2.0))
    assert "| sft | sampled |" in (world.output / "report.md").read_text(encoding="utf-8")
    assert (world.output / "report.html").is_file()


def test_differences_are_second_minus_first_on_the_same_prompts(world: World) -> None:
    world.bad = {("sft", "default"): 4, ("dpo", "default"): 1, ("dpo", "sampled"): 2}
    found = {(d.first, d.second): d.value for d in world.run("sft", "dpo").differences}
    assert found == {
        (CellName("sft", "default"), CellName("dpo", "default")): -3 / 8,
        (CellName("sft", "sampled"), CellName("dpo", "sampled")): 2 / 8,
        (CellName("sft", "default"), CellName("sft", "sampled")): -4 / 8,
        (CellName("dpo", "default"), CellName("dpo", "sampled")): 1 / 8,
    }


def test_models_named_as_tuned_and_aligned_are_compared_wherever_they_stand(world: World) -> None:
    world.bad, only_default = {("sft", "default"): 4, ("dpo", "default"): 1}, {"decodings": (Decoding(),)}
    found = {
        (d.first, d.second): d.value
        for d in world.run("sft", "base", "dpo", **only_default, tuned="sft", aligned="dpo").differences
    }
    assert found[CellName("sft", "default"), CellName("dpo", "default")] == -3 / 8
    assert found[CellName("base", "default"), CellName("dpo", "default")] == 1 / 8
    (turned,) = world.run("sft", "dpo", **only_default, tuned="dpo", aligned="sft").differences
    assert (turned.first.model, turned.second.model) == ("sft", "dpo"), "said once, in the order given"


def test_no_search_no_headline(world: World) -> None:
    assert world.run().headline is None


def test_the_gap_is_against_the_setting_chosen_on_validation_not_the_best_on_test(world: World) -> None:
    chosen, lucky = (d.name for d in search_settings(2))
    world.bad = {("sft", "default"): 6, ("sft", "sampled"): 6, ("sft", chosen): 3, ("sft", lucky): 0, ("dpo", "default"): 1}
    world.bad_on_validation = {("sft", "default"): 4, ("sft", "sampled"): 4, ("sft", chosen): 1, ("sft", lucky): 2}
    result = world.run("base", "sft", "dpo", search=2)
    headline = result.headline
    assert headline is not None
    assert (headline.aligned, headline.tuned, headline.tuned_decoding) == ("dpo", "sft", chosen)
    assert headline.decoding_gap.value == pytest.approx(1 / 8 - 3 / 8)
    assert headline.decoding_gap.low <= headline.decoding_gap.value <= headline.decoding_gap.high
    assert (headline.chosen_on.prompts, headline.chosen_on.tried) == (6, 4)
    assert headline.chosen_on.violations.value == pytest.approx(1 / 6)
    assert [s.decoding for s in headline.chosen_on.settings] == ["default", "sampled", chosen, lucky]
    assert {(m, d) for m, d, where in world.generated if where == "validation"} == {
        ("sft", d) for d in ("default", "sampled", chosen, lucky)
    }
    assert names(result)[-1] == ("dpo", chosen)
    assert ("sft", lucky, "test") not in world.generated
    assert ("base", chosen, "test") not in world.generated


def test_candidates_are_tried_on_validation_and_only_the_chosen_one_is_reported(world: World) -> None:
    warm, cold = (Decoding(name, knobs={"do_sample": True, "temperature": t}) for name, t in (("warm", 1.5), ("cold", 0.2)))
    (setting,) = search_settings(1)
    world.bad_on_validation = {("sft", "default"): 4, ("sft", "cold"): 1, ("sft", "warm"): 3, ("sft", setting.name): 3}
    headline = world.run("sft", "dpo", decodings=(Decoding(),), candidates=(warm, cold), search=1).headline
    assert headline is not None
    assert headline.tuned_decoding == "cold"
    assert [s.decoding for s in headline.chosen_on.settings] == ["default", "warm", "cold", setting.name]
    assert [(m, d) for m, d, where in world.generated if where == "test" and d != "default"] == [("sft", "cold"), ("dpo", "cold")]


def test_default_decoding_is_among_the_candidates_and_wins_a_tie(world: World) -> None:
    result = world.run("sft", "dpo", search=3)
    assert result.headline is not None
    assert result.headline.tuned_decoding == "default"


def test_roles_can_be_named(world: World) -> None:
    world.bad[("a", "default")] = 2
    result = world.run("a", "b", search=1, aligned="a", tuned="b")
    assert result.headline is not None
    assert result.headline.decoding_gap.value == 2 / 8
    assert list(result.models) == ["a", "b"]
    with pytest.raises(UserError, match="--tuned c"):
        world.run("a", "b", tuned="c")


def test_a_search_without_validation_prompts_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "load_inputs", lambda _: Inputs(DOMAIN, TEST, [], []))
    with pytest.raises(UserError, match="validation"):
        world.run(search=1)


def test_a_killed_grid_goes_on_with_the_cell_that_was_under_way(world: World) -> None:
    world.dies_at = "sampled"
    with pytest.raises(KeyboardInterrupt):
        world.run("sft", "dpo")
    world.dies_at = ""
    world.run("sft", "dpo")
    assert world.generated.count(("sft", "default", "test")) == 1
    assert len(world.generated) == 4
    before = list(world.loaded)
    world.run("sft", "dpo")
    assert (len(world.generated), world.loaded) == (4, before), "nothing is missing, so nothing is loaded"


@pytest.mark.parametrize("change", ["weights", "rules"])
def test_a_grid_interrupted_over_other_lines_leaves_no_result_of_the_old_ones(world: World, change: str) -> None:
    world.run("sft", "dpo")
    setattr(world, change, "rules-2")
    world.dies_at = "other"
    with pytest.raises(KeyboardInterrupt):
        world.run("sft", "dpo", decodings=(Decoding(), Decoding("other", knobs={"repetition_penalty": 1.3})))
    with pytest.raises(UserError, match="npc-eval grid"):
        read_result(world.output)
    world.dies_at = ""
    finished = world.run("sft", "dpo")
    assert read_result(world.output) == finished


def test_a_grid_interrupted_before_any_line_changed_keeps_its_result(world: World) -> None:
    result = world.run("sft", "dpo")
    world.dies_at = "other"
    with pytest.raises(KeyboardInterrupt):
        world.run("sft", "dpo", decodings=(Decoding(), Decoding("other", knobs={"repetition_penalty": 1.3})))
    assert read_result(world.output) == result


@pytest.mark.parametrize("damage", [lambda text: text[:-30], lambda _: "", lambda text: text.replace('"key"', '"kez"')])
def test_half_a_file_is_made_anew(world: World, damage: Callable[[str], str]) -> None:
    (cell, *_) = world.run("sft", decodings=(Decoding(),)).cells
    path = world.output / cell.lines
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    world.run("sft", decodings=(Decoding(),))
    assert len(world.generated) == 2


def test_only_what_changed_is_measured_anew(world: World) -> None:
    world.run("sft")
    warmer = Decoding("sampled", knobs={"do_sample": True, "temperature": 0.8})
    world.run("sft", decodings=(Decoding(), warmer))
    assert [g[1] for g in world.generated] == ["default", "sampled", "sampled"]
    world.run("sft", decodings=(Decoding(), warmer), seed=1)
    assert [g[1] for g in world.generated][3:] == ["sampled"], "greedy decoding has no seed"
    world.weights = "trained further"
    world.run("sft", decodings=(Decoding(), warmer))
    assert len(world.generated) == 6


def test_changed_rules_judge_the_stored_lines_again_and_generate_nothing(world: World) -> None:
    (cell,) = world.run("sft", decodings=(Decoding(),)).cells
    assert cell.summary["violations"]["value"] == 0
    generated, world.rules = len(world.generated), "rules-2"
    again = world.run("sft", decodings=(Decoding(),))
    assert again.cells[0].summary["violations"]["value"] == 1.0
    assert (again.rules, len(world.generated), world.rechecked) == ("rules-2", generated, len(TEST))
    stored = read_stored(world.output / cell.lines)
    assert stored is not None
    assert stored.rules == "rules-2"
    world.run("sft", decodings=(Decoding(),))
    assert world.rechecked == len(TEST), "judged once by the new rules, then kept"


@pytest.mark.parametrize("option", [("--search", "3"), ("--candidates", "seeds")])
def test_a_search_option_without_a_search_is_refused(option: tuple[str, str]) -> None:
    done = CliRunner().invoke(main, ["grid", "--model", "a=embedded", "--decodings", "default", *option])
    assert done.exit_code == 1
    assert "search is among --decodings" in done.output


def test_the_default_grid_names_decodings_that_exist() -> None:
    named = [d.name for d in named_decodings(["default", "servers", "seeds", "search"])]
    assert named[:4] == ["default", "vllm", "llama.cpp", "ollama"]
    assert "search" not in named
    with pytest.raises(UserError, match="no decoding 'warm'"):
        named_decodings(["warm"])
