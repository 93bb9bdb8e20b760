"""The judges that pairs never saw: each finds what it looks for, says how sure it is, and is asked once only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from made_evaluation import made_evaluation

from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.evaluation.cli import main
from npc_align.evaluation.folder import CellName, JudgedLine
from npc_align.evaluation.judges.base import Setting, Skipped
from npc_align.evaluation.judges.classifiers import PersonalityClassifier, ResultClassifier
from npc_align.evaluation.judges.counterfactual import CounterfactualPersonality, CounterfactualResult
from npc_align.evaluation.judges.fluency import Fluency, shuffled_lines
from npc_align.evaluation.judges.held_out import HeldOutChecks, held_out_kinds
from npc_align.evaluation.judges.judging import judge_folder
from npc_align.evaluation.judges.words import NewWords, UnknownEndings, UnknownWords
from npc_align.files import file_hash
from npc_align.preferences import manifest_file

DOMAIN = load_domain("weapon_rental")
PROMPTS = DOMAIN.draw(4, 5)
GOOD = ["활 하나 보여 주세요.", "검 좀 빌려줘.", "안녕하십니까.", "또 왔어요."]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, corpus_file: Path) -> Path:
    """Every twelfth line of the shipped corpus."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    path.write_text("".join(corpus_file.read_text(encoding="utf-8").splitlines(keepends=True)[::12]), encoding="utf-8")
    return path


@pytest.fixture
def setting(tmp_path: Path, corpus: Path) -> Setting:
    return Setting(tmp_path, made_evaluation(tmp_path, PROMPTS, {"sft": GOOD, "dpo": GOOD}), DOMAIN, corpus)


def ignore(_: int) -> None:
    pass


# --- Words


def test_unknown_words_are_those_of_neither_corpus_nor_dictionary(setting: Setting) -> None:
    judge = UnknownWords(setting)
    lines = [JudgedLine({}, text, True, []) for text in ("쿠폴리타에서 왔습니다.", "활 하나 주세요.", "please 주세요. 😀 ㅋㅋ")]
    assert judge.scores(lines, ignore) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("line", "odd"),
    [
        ("드디어 승리했습니다만용", True),
        ("창을 빌려 줬어냥.", True),
        ("정말 될까나요잉? 네.", True),
        ("활을 빌리고 싶은데요.", False),
        ("끝났다던데요. 검 하나 보여 주시겠어요?", False),
        ("무겁더라고요…", False),
        ("검.", False),
    ],
)
def test_unknown_endings_are_glued_to_the_last_predicate(setting: Setting, line: str, odd: bool) -> None:
    assert UnknownEndings(setting).odd(line) is odd


def test_word_judges_say_how_sure_they_are(setting: Setting) -> None:
    words, endings, new = (kind(setting).about(ignore) for kind in (UnknownWords, UnknownEndings, NewWords))
    assert words.accuracy is not None
    assert endings.accuracy is not None
    assert min(words.accuracy["value"], endings.accuracy["value"]) > 0.75
    assert words.reference is not None
    assert words.reference["value"] < 0.1
    assert new.reference is not None
    assert new.reference["value"] > 0.3  # a corpus this small lacks many words


# --- Classifiers


def test_the_personality_classifier_knows_a_voice(setting: Setting) -> None:
    judge = PersonalityClassifier(setting)
    said = {"존칭형": "활을 하나 빌려주시기 바랍니다.", "하대형": "이봐, 주인장. 활을 하나 내오게."}
    right = [JudgedLine({"성격": value}, line, True, []) for value, line in said.items()]
    wrong = [JudgedLine({"성격": value}, line, True, []) for value, line in zip(said, reversed(said.values()), strict=True)]
    assert judge.scores([*right, *wrong, JudgedLine({}, "활.", True, [])], ignore) == [1.0, 1.0, 0.0, 0.0, None]
    about = judge.about(ignore)
    assert about.accuracy is not None
    assert set(about.accuracy["by_class"]) == set(DOMAIN.by_key["성격"].labels)
    assert about.accuracy["value"] > 0.5
    assert f"{about.accuracy['value']:.1%}" in about.what


def test_results_are_told_apart_by_group(setting: Setting) -> None:
    label = ResultClassifier(setting).label
    assert label({"최근_의뢰": "성공"}) == label({"최근_의뢰": "대성공"}) != label({"최근_의뢰": "실패"})


def test_a_domain_without_the_role_skips_the_classifier(setting: Setting) -> None:
    roleless = Setting(setting.folder, setting.result, load_domain("weapon_rental_v1"), setting.corpus)
    object.__setattr__(roleless.domain, "roles", {})
    try:
        with pytest.raises(Skipped, match="personality"):
            PersonalityClassifier(roleless).inputs()
    finally:
        load_domain.cache_clear()


# --- Likelihood


def test_fluency_is_per_character_and_measures_itself(setting: Setting, tiny_model: Path) -> None:
    judge = Fluency(Setting(setting.folder, setting.result, DOMAIN, setting.corpus, base_model=str(tiny_model), costly_lines=4))
    told: list[int] = []
    lines = [JudgedLine({}, GOOD[0], True, []), JudgedLine({}, "", True, []), JudgedLine({}, "짚을 " * 30, False, [])]
    once, empty, cut_off = judge.scores(lines, told.append)
    assert (empty, cut_off, sum(told)) == (None, None, 3)
    assert once is not None
    assert -30 < once < -1  # a random model of 800 tokens: ln 800 nats a token, up to three tokens a syllable
    about = judge.about(ignore)
    assert about.accuracy is not None
    assert about.accuracy["value"] <= 1
    assert about.reference is not None
    assert about.reference["value"] < 0


def test_shuffled_lines_have_the_same_words() -> None:
    lines = [JudgedLine({}, text, True, []) for text in ("활 하나 주세요.", "검.", "또 또 또")]
    shuffled = shuffled_lines(lines)
    assert set(shuffled) == {0}
    assert shuffled[0].line != lines[0].line
    assert sorted(shuffled[0].line.split()) == sorted(lines[0].line.split())


def test_counterfactuals_leave_the_prompt_coherent(setting: Setting, tiny_model: Path) -> None:
    returning = next(p for p in DOMAIN.draw(40, 1) if p["최근_의뢰"] == "실패")
    first = next(p for p in DOMAIN.draw(40, 1) if p["최근_의뢰"] == "첫방문")
    seeded = Setting(setting.folder, setting.result, DOMAIN, setting.corpus, seed_model=str(tiny_model))
    judge = CounterfactualResult(seeded)
    assert [a["최근_의뢰"] for a in judge.variants(returning)] == ["실패", "성공", "대성공"]
    assert judge.variants(first) == [first]
    told: list[int] = []
    lines = [JudgedLine(a, text, True, []) for a, text in ((first, GOOD[0]), (returning, GOOD[1]), (returning, ""))]
    found = judge.scores(lines, told.append)
    assert found[1] in (0.0, 1.0)
    assert [found[0], found[2]] == [None, None]
    assert sum(told) == 3


def test_counterfactuals_prefer_the_value_that_the_model_prefers(
    setting: Setting, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def likes_the_first_personality(_: Any, texts: list[str], *__: Any) -> Iterator[dict[int, float]]:
        yield from reversed([{place: float("존칭형" in text)} for place, text in enumerate(texts)])

    monkeypatch.setattr("npc_align.modeling.scoring.log_probabilities", likes_the_first_personality)
    monkeypatch.setattr(CounterfactualPersonality, "_encoded", lambda _, attributes, line: f"{attributes}")
    judge = CounterfactualPersonality(Setting(setting.folder, setting.result, DOMAIN, setting.corpus, seed_model=str(tiny_model)))
    lines = [JudgedLine({**PROMPTS[0], "성격": value}, "활.", True, []) for value in ("존칭형", "하대형")]
    assert judge.scores(lines, ignore) == [1.0, 0.0]


def test_no_separate_model_no_counterfactuals(setting: Setting) -> None:
    with pytest.raises(Skipped, match=r"sft/train\.py seed=43"):
        CounterfactualPersonality(setting).inputs()


def test_a_judged_model_is_no_judge(tmp_path: Path, corpus: Path) -> None:
    run = tmp_path / "sft"
    (run / "adapter").mkdir(parents=True)
    (run / "adapter/adapter_config.json").write_text("{}")
    result = made_evaluation(tmp_path, PROMPTS, {"sft": GOOD}, paths={"sft": str(run)})
    with pytest.raises(Skipped, match="is the model sft itself"):
        CounterfactualPersonality(Setting(tmp_path, result, DOMAIN, corpus, seed_model=str(run))).inputs()


# --- Held-out checks


def dpo_run(folder: Path, held_out: list[str]) -> Path:
    """What a DPO run leaves that tells of its pairs."""
    folder.mkdir()
    pairs = folder / "preferences.jsonl"
    pairs.write_text("{}\n")
    manifest = {"held_out_kinds": held_out, "output": {"sha256": file_hash(pairs)}}
    manifest_file(pairs).write_text(json.dumps(manifest))
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": {"pairs": str(pairs)}}))
    (folder / "manifest.json").write_text(json.dumps({"inputs": {"pairs": file_hash(pairs)}}))
    return folder


def test_held_out_kinds_are_those_that_no_run_saw(tmp_path: Path) -> None:
    runs = [str(dpo_run(tmp_path / name, kinds)) for name, kinds in (("a", ["length", "josa_error"]), ("b", ["josa_error"]))]
    assert held_out_kinds(["embedded", *runs]) == ("josa_error",)
    with pytest.raises(Skipped, match="--held-out-kinds"):
        held_out_kinds(["embedded"])
    (tmp_path / "a/preferences.jsonl").write_text("other pairs\n")
    with pytest.raises(Skipped, match="--held-out-kinds"):
        held_out_kinds(runs)


def test_a_dpo_run_remembers_what_its_pairs_kept_out(tmp_path: Path) -> None:
    run = dpo_run(tmp_path / "a", ["length"])
    (run / "manifest.json").write_text(json.dumps({"pairs": {"training": 9, "held_out": 1, "held_out_kinds": ["josa_error"]}}))
    (run / "preferences.jsonl").unlink()
    for part in ("adapter", "checkpoint-20"):
        (run / part).mkdir()
        assert held_out_kinds([str(run / part)]) == ("josa_error",)


def test_held_out_checks_count_their_kinds_only(setting: Setting) -> None:
    judge = HeldOutChecks(Setting(setting.folder, setting.result, DOMAIN, setting.corpus, held_out_kinds=("josa_error",)))
    lines = [JudgedLine({}, "활.", True, [{"kind": kind}]) for kind in ("josa_error", "length")]
    judge.inputs()
    assert judge.scores(lines, ignore) == [1.0, 0.0]


# --- The folder


def test_what_was_judged_is_not_judged_again(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = [{"kind": "josa_error", "start": 0, "end": 1, "message": ""}]
    result = made_evaluation(tmp_path, PROMPTS, {"sft": GOOD, "dpo": GOOD}, violations=fault)
    asked: list[int] = []
    scores = HeldOutChecks.scores
    monkeypatch.setattr(HeldOutChecks, "scores", lambda self, lines, bar: asked.append(1) or scores(self, lines, bar))
    setting = Setting(tmp_path, result, DOMAIN, corpus, held_out_kinds=("josa_error",))
    found = judge_folder(setting, ["held_out_checks", "counterfactual_result"])
    again = judge_folder(setting, ["held_out_checks"])
    assert len(asked) == 2
    assert again == found == json.loads((tmp_path / "judges.json").read_text(encoding="utf-8"))
    entry = found["judges"]["held_out_checks"]
    assert [(c["model"], c["lines"], c["rate"]["value"]) for c in entry["cells"]] == [("sft", 4, 0.25), ("dpo", 4, 0.25)]
    assert [d["value"] for d in entry["differences"]] == [0.0]
    assert "seed=43" in found["skipped"]["counterfactual_result"]

    changed = made_evaluation(tmp_path, PROMPTS, {"sft": GOOD, "dpo": ["다른 말."] * 4})
    found = judge_folder(Setting(tmp_path, changed, DOMAIN, corpus, held_out_kinds=("josa_error",)), ["held_out_checks"])
    assert found["skipped"] == {}  # of other lines, so nothing of it stays
    assert [d["value"] for d in found["judges"]["held_out_checks"]["differences"]] == [0.0]


def test_unknown_judges_and_cells_are_refused(setting: Setting) -> None:
    with pytest.raises(UserError, match="no judge fluent; there are: unknown_words"):
        judge_folder(setting, ["fluent"])
    with pytest.raises(UserError, match="there are: sft/default, dpo/default"):
        judge_folder(setting, [], [CellName("sft", "ollama")])


def test_the_command_prints_figures_and_skips_loudly(setting: Setting) -> None:
    command = [
        "judge",
        str(setting.folder),
        "--corpus",
        str(setting.corpus),
        "--judge",
        "unknown_endings",
        "--judge",
        "counterfactual_result",
    ]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    for text in ("unknown_endings:", "sft/default", "reference", "0.0%", "paired"):
        assert text in done.stdout
    assert "skipped: counterfactual_result: needs an SFT run of another seed" in done.stderr
    as_json = CliRunner().invoke(main, [*command, "--json"])
    assert json.loads(as_json.stdout)["judges"]["unknown_endings"]["unit"] == "share"
    wrong = CliRunner().invoke(main, ["judge", str(setting.folder), "--held-out-kinds", "nonsense"])
    assert wrong.exit_code == 1
    assert "no such kind" in wrong.output
