"""The report as a reader sees it, in a real browser: its figures, its filters, on a desk and on a phone."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from made_up_evaluation import (
    BAD,
    DOMAIN,
    PROMPTS,
    fault,
    made_up_lines,
    make_evaluation,
    make_run,
    write_judges,
    write_readings,
)

from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.report.write import write_report
from npc_align.evaluation.statistics import Interval

Open = Callable[..., Any]
PHONE, DESK = 360, 1280
RUDE = "<b>굵게</b> \u202e거꾸로 " + "긴말" * 60


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it, and one line that tries to break the page."""
    work = tmp_path_factory.mktemp("report")
    run = make_run(work / "run")
    dpo = made_up_lines("dpo")
    dpo[5] = JudgedLine(PROMPTS[5], RUDE, True, [fault("length", 0, 4, "첫째 까닭"), fault("repetition", 2, 200, "둘째 까닭")])
    folder = make_evaluation(work / "eval", gap=Interval(-0.125, -0.25, -0.01), lines={"dpo": dpo}, paths={"dpo": str(run)})
    write_judges(folder)
    write_readings(folder)
    return write_report(folder)[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium here; install what tests/debian-packages.txt lists")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, report: Path) -> Open:
    """Opens the report from its file, without a network; a message on the console fails the test."""

    @contextmanager
    def opened(width: int = DESK, **context: Any) -> Iterator[Any]:
        with browser.new_context(viewport={"width": width, "height": 800}, offline=True, **context) as own:
            page, said = own.new_page(), []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: said.append(request.url) if request.url != report.as_uri() else None)
            page.goto(report.as_uri())
            yield page
            assert [text for text in said if text != "data:,"] == []

    return opened


def count(page: Any) -> int:
    """How many lines the page says it found, which must be as many as it shows."""
    while page.is_visible("#more"):
        page.click("#more")
    told = int(page.get_attribute("#count", "data-count"))
    assert page.locator("#found .line:not(.beside)").count() == told
    return told


def test_figures_are_read_back(open_page: Open, tmp_path: Path) -> None:
    with open_page() as page:
        assert page.inner_text("#verdict") == "✔ 합격"
        assert "12.5%p 낮습니다" in page.inner_text("#sentence")
        assert page.inner_text("#prompts") == str(len(PROMPTS))
        assert page.inner_text("#rules") == "feedbeef"
        rates = {row.get_attribute("data-model"): row.inner_text() for row in page.locator("#rates .plot-row").all()}
        assert {model: f"{bad / len(PROMPTS):.1%} (" in rates[model] for model, (bad, _) in BAD.items() if model != "dpo"} == {
            "base": True,
            "sft": True,
        }
        assert page.locator("#cells tbody tr").count() == 4
        heat = page.locator('.heat[data-model="sft"] td small').all_inner_texts()
        assert sum(int(text.split("/")[0]) for text in heat) == BAD["sft"][0]
        assert page.locator("#opinions-table tbody tr").count() == 1 + 2, "a cell; the corpus' lines and the judges' own accuracy"
        assert "--seed-model runs/sft-seed43" in page.inner_text("#skipped")
        assert page.locator(".panel .curve").count() >= 3
        shot = tmp_path / "page.png"
        page.screenshot(path=shot, full_page=True)
        assert shot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_filters_show_what_they_say(open_page: Open, width: int) -> None:
    mine = DOMAIN.roles["personality"]
    with open_page(width) as page:
        assert count(page) == 3 * len(PROMPTS), "default decoding is shown first"
        page.select_option("[name=decoding]", "")
        assert count(page) == 4 * len(PROMPTS)
        page.select_option("[name=model]", "sft")
        page.select_option("[name=kind]", "tone_break")
        assert count(page) == 2 * BAD["sft"][0], "under both decodings"
        page.select_option("[name=decoding]", "default")
        personality = str(PROMPTS[0][mine])
        page.select_option("[name=personality]", personality)
        bad = [p for p in PROMPTS[: BAD["sft"][0]] if p[mine] == personality]
        assert count(page) == len(bad)
        page.check("[name=beside]")
        assert page.locator("#found .line.beside").count() == 2 * len(bad)
        page.select_option("[name=personality]", "")
        page.select_option("[name=kind]", "-")
        page.fill("[name=search]", "17번째")
        assert count(page) == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_violation_says_why_to_mouse_keyboard_and_finger(open_page: Open) -> None:
    with open_page(PHONE, has_touch=True, is_mobile=True) as page:
        page.fill("[name=search]", "거꾸로")
        marks = page.locator("#found mark")
        assert "".join(page.locator("#found .said").all_inner_texts()) == RUDE
        marks.nth(1).tap()
        assert page.inner_text("#tip").split("\n") == ["길이 (너무 짧거나 긺)", "첫째 까닭", "되풀이", "둘째 까닭"]
        box = page.locator("#tip").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE
        page.keyboard.press("Escape")
        assert page.is_hidden("#tip")
        marks.first.focus()
        assert "첫째 까닭" in page.inner_text("#tip")
    with open_page() as page:
        page.hover("#sample mark >> nth=0")
        assert "까닭" in page.inner_text("#tip")


@pytest.mark.parametrize(("scheme", "language"), [("light", "ko"), ("dark", "en")])
def test_the_page_fits_a_phone(open_page: Open, scheme: str, language: str) -> None:
    with open_page(PHONE, color_scheme=scheme) as page:
        if language == "en":
            page.click("#language")
        for summary in page.locator("summary").all():
            if not summary.evaluate("s => s.parentElement.open"):
                summary.click()
        assert ("PASS" in page.inner_text("#verdict")) is (language == "en")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_hangul_is_drawn(open_page: Open) -> None:
    fonts = shutil.which("fc-list")
    if fonts and not subprocess.run([fonts, ":lang=ko"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("no Korean font here; install what tests/debian-packages.txt lists")
    # A glyph that a font lacks is drawn as the same box as any other that it lacks.
    draw = """(text) => {
        const canvas = Object.assign(document.createElement("canvas"), {width: 80, height: 80});
        const pen = canvas.getContext("2d");
        pen.font = `48px ${getComputedStyle(document.body).fontFamily}`;
        pen.fillText(text, 8, 60);
        return canvas.toDataURL();
    }"""
    with open_page() as page:
        drawn = [page.evaluate(draw, text) for text in ("가", "흠", "\uffff")]
        assert len(set(drawn)) == 3
