"""The report: figures in, the same figures out; nothing in a line can break the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from made_up_evaluation import (
    DOMAIN,
    JUDGES,
    PROMPTS,
    READINGS,
    fault,
    made_up_lines,
    make_evaluation,
    make_run,
    write_judges,
    write_readings,
)

from npc_align.errors import UserError
from npc_align.evaluation.cli import main
from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.judges.judging import ALL
from npc_align.evaluation.report.curves import panels, ticks
from npc_align.evaluation.report.headline import headline
from npc_align.evaluation.report.judges import EXPLAINED, NAMES
from npc_align.evaluation.report.runs import read_run
from npc_align.evaluation.report.source import read_evaluation
from npc_align.evaluation.report.spans import pieces
from npc_align.evaluation.report.tables import heat_map
from npc_align.evaluation.report.words import points
from npc_align.evaluation.report.write import write_report
from npc_align.evaluation.statistics import Interval, wilson

PASS, FAIL = Interval(-0.125, -0.25, -0.01), Interval(0.02, -0.01, 0.05)
ODD = "</script><img src=x onerror=alert(1)>\u2028&\u202eabc‮\ud800\x00 {{ 7 * 7 }} | `x` ]]>"


class Page(HTMLParser):
    """The page's tags with their attributes, and its text in Korean outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.data, self._inside = "", "", [""]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style", "span", "title"):
            self._inside.append("data" if dict(attrs).get("id") == "data" else f"{tag} {dict(attrs).get('lang')}")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "span", "title"):
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside[-1] == "data":
            self.data += data
        elif self._inside[-1] in ("", "span ko", "span None"):
            self.text += data


def page_of(folder: Path) -> Page:
    return Page(write_report(folder)[0].read_text(encoding="utf-8"))


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_figures_come_out_as_they_went_in(tmp_path: Path) -> None:
    html, markdown = write_report(make_evaluation(tmp_path, gap=PASS))
    page, text = squeezed(Page(html.read_text(encoding="utf-8")).text), markdown.read_text(encoding="utf-8")
    sft = wilson(6, 24)
    for shown in (page, text.replace("\\", "")):
        assert f"{sft.value:.1%} ({sft.low:.1%} ~ {sft.high:.1%})" in shown
        for figure in ("12.5%", "33.3", "21.0%", "63.0%", "37.5%", "87.5%", "12.2", "2.500", "feedbeef", "9.9", "0123abcd"):
            assert figure in shown, figure
        assert "−12.5%p (−25.0%p ~ −1.0%p)" in shown
        assert "temperature=0.3" in shown


def test_every_cell_has_a_row_in_markdown(tmp_path: Path) -> None:
    rows = write_report(make_evaluation(tmp_path))[1].read_text(encoding="utf-8").splitlines()
    found = [row.split(" | ")[0:2] for row in rows if "33.3" in row]
    assert found == [["| base", "default"], ["| sft", "default"], ["| sft", "cool"], ["| dpo", "default"]]
    widths = {row.count(" | ") for row in rows if "33.3" in row or "distinct-2" in row}
    assert widths == {8}, "header and rows have as many columns"


@pytest.mark.parametrize(
    ("gap", "passed", "said", "chance"),
    [
        (PASS, True, "dpo 쪽이 12.5%p 낮습니다", "구간이 0을 품지 않아"),
        (Interval(0.0, -0.1, 0.1), True, "둘이 같습니다", "구간이 0을 품어"),
        (FAIL, False, "dpo 쪽이 2.0%p 높습니다", "구간이 0을 품어"),
    ],
)
def test_headline_passes_at_a_gap_of_zero_or_less(tmp_path: Path, gap: Interval, passed: bool, said: str, chance: str) -> None:
    found = headline(read_evaluation(make_evaluation(tmp_path, gap=gap)))
    assert found.passed is passed
    assert found.verdict == (("합격", "PASS") if passed else ("불합격", "FAIL"))
    assert said in found.sentence.ko
    assert "dpo에서는 대사의 12.5%" in found.sentence.ko
    assert "sft에서는 25.0%" in found.sentence.ko
    assert chance in found.detail.ko


def test_without_a_gap_nothing_passes(tmp_path: Path) -> None:
    make_evaluation(tmp_path)
    assert headline(read_evaluation(tmp_path)).passed is None
    assert "– 판정 없음" in squeezed(page_of(tmp_path).text)


RATES = {"low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    ("aligned", "tuned", "varied", "verdicts"),
    [
        (0.02, 0.04, 0.6, "pass pass pass"),
        (0.021, 0.04, 0.6, "fail pass pass"),
        (0.1, 0.4, 0.57, "pass pass pass"),
        (0.11, 0.4, 0.56, "fail pass fail"),
    ],
)
def test_the_bounds_on_default_decoding_pass_or_fail(
    tmp_path: Path, aligned: float, tuned: float, varied: float, verdicts: str
) -> None:
    figures = {"dpo": {"violations": {"value": aligned, **RATES}, "distinct_2": varied}}
    figures["sft"] = {"violations": {"value": tuned, **RATES}, "distinct_2": 0.6}
    html, markdown = write_report(make_evaluation(tmp_path, gap=PASS, figures=figures))
    text = markdown.read_text(encoding="utf-8").replace("\\", "")
    rows = [row.strip("| ").split(" | ") for row in text.splitlines() if row.endswith(("pass |", "fail |"))]
    assert " ".join(row[-1].split()[-1] for row in rows) == verdicts
    assert rows[0][1:3] == [f"{aligned:.1%}", f"{tuned:.1%}"]
    page = squeezed(Page(html.read_text(encoding="utf-8")).text)
    assert ("✘ 불합격" in page) is ("fail" in verdicts)


def test_where_no_two_models_are_named_nothing_is_bounded(tmp_path: Path) -> None:
    html, markdown = write_report(make_evaluation(tmp_path))
    assert 'id="bounds"' not in html.read_text(encoding="utf-8")
    assert "✔ pass" not in markdown.read_text(encoding="utf-8")


def test_a_cell_without_a_verdict_is_left_open(tmp_path: Path) -> None:
    make_evaluation(tmp_path)
    judges, readings = json.loads(json.dumps([JUDGES, READINGS]))
    sft = {"model": "sft", "decoding": "default"}
    judges["judges"]["unknown_words"]["cells"].append({**sft, "lines": 0, "rate": None})
    readings["cells"].append({**sft, "read": 0, "good": None})
    write_judges(tmp_path, judges)
    write_readings(tmp_path, readings)
    text = write_report(tmp_path)[1].read_text(encoding="utf-8")
    assert "| dpo | default | 12.5% (4.3% \\~ 31.0%) | 5.4%" in text


def test_readings_of_other_lines_are_not_shown(tmp_path: Path) -> None:
    make_evaluation(tmp_path)
    write_readings(tmp_path)
    assert read_evaluation(tmp_path).readings is not None
    stored = tmp_path / "lines" / "dpo" / "default.jsonl"
    first, *rest = stored.read_text(encoding="utf-8").splitlines()
    rest = [json.dumps({**json.loads(row), "line": "새로 만든 대사입니다."}, ensure_ascii=False) for row in rest]
    stored.write_text("\n".join([first, *rest]) + "\n", encoding="utf-8")
    assert read_evaluation(tmp_path).readings is None


def test_lines_are_filtered_by_a_decodings_own_name(tmp_path: Path) -> None:
    page = page_of(make_evaluation(tmp_path, also=["greedy-too"]))
    options = page.text[page.text.index("찾는 말") :]
    assert "greedy-too" not in options
    assert [a for tag, a in page.tags if tag == "option" and "selected" in a]


@pytest.mark.parametrize("cells", [[("base", "default")], [("sft", "cool")]])
def test_a_single_cell_makes_a_report(tmp_path: Path, cells: list[tuple[str, str]]) -> None:
    page = page_of(make_evaluation(tmp_path, cells))
    assert len(json.loads(page.data)["cells"]) == 1
    assert "npc-eval judge" in page.text
    assert "npc-eval read" in page.text
    assert "npc-eval report FOLDER --run RUN" in page.text


def test_judges_and_readings_stand_beside_the_rules(tmp_path: Path) -> None:
    make_evaluation(tmp_path)
    write_judges(tmp_path)
    write_readings(tmp_path)
    html, markdown = write_report(tmp_path)
    row = next(r for r in markdown.read_text(encoding="utf-8").splitlines() if "5.4%" in r)
    rules = wilson(3, 24)
    columns = row.replace("\\", "").strip("| ").split(" | ")
    assert columns[:3] == ["dpo", "default", f"{rules.value:.1%} ({rules.low:.1%} ~ {rules.high:.1%})"]
    assert columns[3:] == ["5.4% (3.0% ~ 9.0%)", "88.0% (84.0% ~ 91.0%)", "-3.81 (-3.9 ~ -3.7)", "75.0% (63.0% ~ 84.0%), n=60"]
    page = squeezed(Page(html.read_text(encoding="utf-8")).text)
    for said in ("사전에 없는 낱말이 든 대사 ↓", "자연스러움 ↑", "+0.11 (−0.02 ~ +0.24)", "읽은 사람: 민지"):
        assert said in page, said
    assert "말투 이탈 (성격과 다른 말투)1" in page.replace(" 1", "1"), "the readers' reasons"
    assert "재지 않았습니다: npc-eval judge" not in page


def test_each_judge_says_how_far_it_can_be_trusted(tmp_path: Path) -> None:
    """The figure for the corpus' own lines and the judge's accuracy stand below the models' figures and beside what it measures."""
    write_judges(make_evaluation(tmp_path))
    html, markdown = write_report(tmp_path)
    text = markdown.read_text(encoding="utf-8").replace("\\", "")
    rows = {row.split(" | ")[0].strip("| "): row.strip("| ").split(" | ")[3:] for row in text.splitlines() if row.startswith("|")}
    recognised = "90.7% (87.2% ~ 93.4%)"
    assert rows["견줄 값: 말뭉치의 대사 / to compare: the corpus' own lines"] == [
        "0.6% (0.2% ~ 2.1%)", recognised, "-3.42 (-3.55 ~ -3.29)"
    ]  # fmt: skip
    assert rows["잣대 자신의 정확도 / the judge's own accuracy"] == ["87.0% (81.0% ~ 92.0%)", recognised, "–"]
    page = squeezed(Page(html.read_text(encoding="utf-8")).text)
    for said in (text, page):
        for of in ("87.0% (81.0% ~ 92.0%) (test split, 420 lines)", "0.6% (0.2% ~ 2.1%) (335 test lines of the corpus)"):
            assert of in said


def test_a_judge_that_could_not_judge_is_named_with_its_reason(tmp_path: Path) -> None:
    write_judges(make_evaluation(tmp_path), {"judges": {}, "skipped": JUDGES["skipped"]})
    html, markdown = write_report(tmp_path)
    for text in (squeezed(Page(html.read_text(encoding="utf-8")).text), markdown.read_text(encoding="utf-8").replace("\\", "")):
        assert "다른 결과보다 제 결과에 맞는 대사" in text
        assert "needs an SFT run of another seed; run: npc-eval judge … --seed-model runs/sft-seed43" in text


def test_every_judge_has_a_name_for_writers() -> None:
    assert NAMES.keys() == EXPLAINED.keys() == ALL.keys()
    assert {name.en for name in NAMES.values()} == {
        getattr(import_module(f"npc_align.evaluation.judges.{module}"), kind).title for module, kind in ALL.values()
    }


def test_judges_of_other_lines_are_not_shown(tmp_path: Path) -> None:
    write_judges(make_evaluation(tmp_path))
    make_evaluation(tmp_path, lines={"dpo": made_up_lines("sft")})
    page = page_of(tmp_path)
    assert "사전에 없는 낱말이 든 대사" not in page.text
    assert "재지 않았습니다: npc-eval judge" in page.text


def test_what_a_line_holds_stays_text(tmp_path: Path) -> None:
    lines = [JudgedLine(p, ODD, True, [fault("length", 2, 9, ODD)]) for p in PROMPTS]
    # A lone surrogate can't be written as UTF-8: it comes as an escape in JSON.
    folder = make_evaluation(tmp_path, [("base", "default")], lines={"base": made_up_lines("base")})
    file = folder / "lines/base/default.jsonl"
    rows = [json.dumps({**vars(line)}) for line in lines]
    file.write_text("\n".join(['{"key": "k", "rules": "r"}', *rows]) + "\n", encoding="utf-8")
    page = page_of(folder)
    whole = ODD.replace("\ud800", "\ufffd").replace("\x00", "\ufffd")
    assert {"".join(piece for piece, _ in line["pieces"]) for line in json.loads(page.data)["cells"][0]["lines"]} == {whole}
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "\u2028" not in page.data
    assert page.text.count(whole[9:]) >= 12, "the sample shows the rest of the line as it is"
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert "<img" not in markdown.replace("\\<", "")


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    make_evaluation(tmp_path / "eval", paths={"dpo": str(tmp_path / "run/adapter")})
    (tmp_path / "run/adapter").mkdir()
    html = write_report(tmp_path / "eval")[0].read_text(encoding="utf-8")
    links = [a[k] or "" for _, a in Page(html).tags for k in ("src", "href", "srcset", "action") if k in a]
    assert links
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.findall(r"https?://|@import|url\(", html)


LINE = st.text("가a 😀\u200d\n", max_size=12)
OFFSETS = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)).map(lambda s: (min(s), max(s))), max_size=5)


@given(LINE, OFFSETS)
def test_pieces_make_up_the_line_and_each_violation_its_span(line: str, spans: list[tuple[int, int]]) -> None:
    cut = pieces(line, [fault("length", start, end) for start, end in spans])
    assert "".join(piece.text for piece in cut) == line
    for number, (start, end) in enumerate(spans):
        covered = [piece for piece in cut if number in piece.found]
        assert covered, "every violation can be pointed at"
        assert "".join(piece.text for piece in covered) == line[start:end]


def test_overlapping_and_empty_spans() -> None:
    cut = pieces("가나다라", [fault("length", 0, 3), fault("length", 2, 4), fault("length", 4, 4)])
    assert [(p.text, p.found) for p in cut] == [("가나", (0,)), ("다", (0, 1)), ("라", (1,)), ("", (2,))]


def test_offsets_count_code_points_beyond_the_basic_plane(tmp_path: Path) -> None:
    lines = [JudgedLine(p, "😀😀가", True, [fault("length", 2, 3)]) for p in PROMPTS]
    page = page_of(make_evaluation(tmp_path, [("sft", "default")], lines={"sft": lines}))
    assert json.loads(page.data)["cells"][0]["lines"][0]["pieces"] == [["😀😀", []], ["가", [0]]]


def test_a_models_run_brings_its_curves_and_probes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    make_evaluation(tmp_path / "eval", paths={"dpo": str(run)})
    html, markdown = write_report(tmp_path / "eval")
    page = squeezed(Page(html.read_text(encoding="utf-8")).text)
    assert "20 ✔ 고른 것2.00010.0%90.0%–+0.37––" in page
    assert "optim.learning_rate2e-05" in page
    assert "manifest.inputs.basecafe" in page
    text = markdown.read_text(encoding="utf-8")
    assert text.count("스텝 20 client님") == len(DOMAIN.probes)
    assert "외국어·외국 글자" in text, "the probes are checked, too"
    assert "스텝 10" not in text


def test_curves_reach_from_the_first_to_the_last_step(tmp_path: Path) -> None:
    run = read_run("dpo", make_run(tmp_path / "run"), DOMAIN)
    losses, rates = panels(run)
    train, held_out = losses.series
    assert train.path.startswith("M5.00 ")
    assert train.path.endswith("L100.00 33.33"), "loss 2 on a scale of 3, at the last step"
    assert held_out.path == "M50.00 33.33L100.00 33.33"
    assert [label for _, label in rates.y_ticks] == ["0%", "5%", "10%", "15%", "20%"]
    assert rates.series[0].path == "M50.00 0.00L100.00 50.00"


def test_a_run_that_was_never_evaluated_shows_nothing(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "run/metrics.jsonl").write_text('{"step": 1, "loss": NaN}\n', encoding="utf-8")
    make_evaluation(tmp_path / "eval", paths={"dpo": str(tmp_path / "run")})
    assert 'id="no-runs"' in write_report(tmp_path / "eval")[0].read_text(encoding="utf-8")
    with pytest.raises(UserError, match="not evaluated yet"):
        write_report(tmp_path / "eval", [tmp_path / "run"])


@pytest.mark.parametrize(("highest", "last"), [(4.97, 6), (0.1667, 0.2), (1, 1), (230, 300), (0, 1)])
def test_ticks_are_round_and_reach_the_top(highest: float, last: float) -> None:
    found = ticks(highest)
    assert found[0] == 0
    assert found[-1] == pytest.approx(last)
    assert 2 <= len(found) <= 6


def test_heat_map_counts_every_line_once(tmp_path: Path) -> None:
    evaluation = read_evaluation(make_evaluation(tmp_path))
    heat = heat_map(evaluation.compared[0], evaluation.prompts, DOMAIN)
    assert heat is not None
    places = [place for _, row in heat.rows for place in row if place]
    assert [sum(place[i] for place in places) for i in (0, 1)] == [6, 24]
    assert heat_map(evaluation.cells[0], evaluation.prompts, replace(DOMAIN, roles={})) is None


def test_minus_zero_is_zero() -> None:
    assert points(-0.0001) == "+0.0%p"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no result\.json"):
        write_report(tmp_path)
    make_evaluation(tmp_path)
    with pytest.raises(UserError, match="no run folder"):
        write_report(tmp_path, [tmp_path / "lines"])
    mixed = {"dpo": [replace(x, attributes=PROMPTS[0]) for x in made_up_lines("dpo")]}
    make_evaluation(tmp_path, lines=mixed)
    with pytest.raises(UserError, match="other prompts than the rest"):
        write_report(tmp_path)


def test_the_command_names_what_it_wrote(tmp_path: Path) -> None:
    make_evaluation(tmp_path / "eval")
    done = CliRunner().invoke(main, ["report", str(tmp_path / "eval"), "--run", str(make_run(tmp_path / "dpo-run"))])
    assert done.exit_code == 0, done.output
    assert done.output == f"report: {tmp_path / 'eval/report.html'}\nreport: {tmp_path / 'eval/report.md'}\n"
    assert "### dpo-run" in (tmp_path / "eval/report.md").read_text(encoding="utf-8").replace("\\", "")
