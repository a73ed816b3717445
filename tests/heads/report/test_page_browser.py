"""The page in a real browser: nothing is loaded, cut off or out of reach, and what moves works."""

from __future__ import annotations

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from heads.report.page import report
from heads.results import Run
from tests.heads.report.hostile import write_hostile

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium (apt-get install chromium)"
)

PHONE, DESKTOP = (390, 844), (1280, 900)
VIEWS = [(size, scheme) for size in (PHONE, DESKTOP) for scheme in ("light", "dark")]

OUTSIDE = """() => {
  // Elements with text of their own that reach over the page's edge, outside of boxes that scroll.
  const width = document.documentElement.clientWidth;
  return [...document.querySelectorAll("body *")].filter((one) =>
    [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) &&
    !one.closest(".box, .picture, .skip, script, style, noscript, option")
  ).filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width > 1 && (box.right > width + 1 || box.left < -1);
  }).map((one) => one.outerHTML.slice(0, 120));
}"""
CLIPPED = """() => [...document.querySelectorAll("body *")].filter((one) => {
  // Elements that hide what does not fit, and hold more than fits.
  const style = getComputedStyle(one);
  const hides = (x) => x === "hidden" || x === "clip";
  if (one.closest("svg, .skip, caption, audio")) return false;
  return (hides(style.overflowX) && one.scrollWidth > one.clientWidth + 1)
    || (hides(style.overflowY) && one.scrollHeight > one.clientHeight + 1);
}).map((one) => one.outerHTML.slice(0, 120))"""
CUT_PICTURES = """() => [...document.querySelectorAll(".picture svg")].flatMap((svg) => {
  // Text of a picture that reaches over its edge.
  const edge = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter((text) => {
    const box = text.getBoundingClientRect();
    return box.left < edge.left - 1 || box.right > edge.right + 1
      || box.top < edge.top - 1 || box.bottom > edge.bottom + 1;
  }).map((text) => svg.querySelector("title").textContent + ": " + text.textContent);
})"""

TOO_WIDE = """(where) => [...document.querySelectorAll(where)].filter((table) =>
  table.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map((table) => table.id)"""
COUNT_FOLDED = """addEventListener("beforeprint", () => {
  window.folded = document.querySelectorAll("details:not([open])").length;
})"""


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, page_file):
    """Open the page; what it says on the console and asks from a network is kept."""
    contexts = []

    def open_page(size=DESKTOP, scheme="light", **options):
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(page_file.as_uri())
        page.wait_for_selector(".legend button")
        return page

    yield open_page
    for context in contexts:
        context.close()


def until(page, condition):
    """Wait for what takes a moment; playwright's own waiting is kept out by the page's policy."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it never came to {condition}")


@pytest.mark.parametrize(("size", "scheme"), VIEWS)
def test_the_page_is_whole(visit, page_file, size, scheme):
    page = visit(size, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.said == []
    assert page.asked == [page_file.as_uri()]
    wide, there = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= there == size[0]
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(CUT_PICTURES) == []


@pytest.mark.parametrize(("size", "scheme"), VIEWS)
def test_the_page_is_accessible(visit, size, scheme):
    page = visit(size, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
    found = Axe().run(page, options=rules).response
    assert [
        (own["id"], own["nodes"][0]["html"][:200], own["nodes"][0].get("failureSummary"))
        for own in found["violations"]
    ] == []
    assert {"color-contrast", "svg-img-alt"} <= {own["id"] for own in found["passes"]}


def test_it_is_dark_or_light_as_the_system_is_and_as_the_reader_says(visit):
    ground = "getComputedStyle(document.body).backgroundColor"
    assert visit(scheme="dark").evaluate(ground) == "rgb(21, 23, 26)"
    page = visit(scheme="light")
    assert page.evaluate(ground) == "rgb(252, 252, 250)"
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(21, 23, 26)"
    assert page.get_attribute("#theme", "aria-label") == "Show the page light"
    page.reload()
    assert page.evaluate(ground) == "rgb(21, 23, 26)"
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(252, 252, 250)"


def test_pictures_take_the_page_s_ink_and_paper(visit):
    ink = "getComputedStyle(document.querySelector('.picture svg text')).fill"
    assert visit(scheme="light").evaluate(ink) == "rgb(27, 29, 33)"
    assert visit(scheme="dark").evaluate(ink) == "rgb(232, 230, 225)"


def test_a_click_sorts_by_value_and_what_is_undefined_stands_last(visit):
    page = visit()
    heading = page.locator("thead th >> text=p (Holm)")
    table = page.locator("#bias table[data-sortable]", has=heading).first
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    place = table.locator("thead th").all_inner_texts().index("p (Holm)")
    values = f"(table) => [...table.tBodies[0].rows].map((row) => row.cells[{place}].dataset.value)"
    before = table.evaluate(values)
    known = sorted(float(value) for value in before if value is not None)
    undefined = [None] * (len(before) - len(known))
    assert known
    assert undefined
    head = table.locator("thead th").nth(place)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    found = table.evaluate(values)
    assert [float(x) for x in found[: len(known)]] + found[len(known) :] == known[::-1] + undefined
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    found = table.evaluate(values)
    assert [float(x) for x in found[: len(known)]] + found[len(known) :] == known + undefined


def test_sorting_works_by_keyboard(visit):
    page = visit()
    button = page.locator("table[data-sortable] thead button").first
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort]").count() == 1


def test_pointing_at_a_clip_tells_of_it(visit, report_runs):
    page = visit()
    plot = page.locator(".plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    told = page.locator(".told")
    assert told.inner_text().startswith("Point at a clip")
    clip = report_runs[0].read_report("projection")["ids"][0]
    x, y = position(report_runs[0], clip, box)
    page.mouse.move(x, y)
    text = told.inner_text()
    name = text.split(" · ")[0]
    utterance = report_runs[0].utterances[name]
    assert f"true {utterance.label}" in text or "true not known" in text
    assert f"speaker {utterance.speaker}" in text
    assert utterance.gender in text
    assert "predicted " in text


def position(run, clip, box):
    """Where a clip stands in the map, by its record."""
    record = run.read_report("projection")
    place = record["ids"].index(clip)
    x = box["x"] + 17 + record["x"][place] * (box["width"] - 34)
    return x, box["y"] + 17 + (1 - record["y"][place]) * (box["height"] - 34)


def test_the_map_is_reached_and_walked_by_keyboard(visit):
    page = visit()
    page.focus(".plot")
    page.keyboard.press("Home")
    first = page.inner_text(".told")
    page.keyboard.press("ArrowRight")
    second = page.inner_text(".told")
    assert first != second
    assert page.get_attribute(".ring", "visibility") == "visible"
    page.keyboard.press("Escape")
    assert page.inner_text(".told").startswith("Point at a clip")


def test_enter_plays_the_clip_from_where_its_audio_lies(visit, report_runs):
    page = visit()
    page.focus(".plot")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    name = page.inner_text(".told b")
    until(page, "document.querySelector('audio').readyState > 0")
    source, seconds = page.evaluate(
        "[audio.src, audio.duration]".replace("audio", "document.querySelector('audio')")
    )
    assert source == report_runs[0].utterances[name].path.as_uri()
    assert seconds == pytest.approx(0.5)
    assert page.inner_text(".player p") == ""


def test_a_click_plays_the_clip(visit, report_runs):
    page = visit()
    page.locator(".plot").scroll_into_view_if_needed()
    clip = report_runs[0].read_report("projection")["ids"][5]
    page.mouse.click(*position(report_runs[0], clip, page.locator(".plot").bounding_box()))
    until(page, "document.querySelector('audio').readyState > 0")
    assert page.inner_text(".told b") in page.evaluate("document.querySelector('audio').src")


def test_a_tap_tells_and_plays(visit):
    page = visit(PHONE, has_touch=True, is_mobile=True)
    plot = page.locator(".plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    for x in range(30, int(box["width"]) - 20, 25):
        page.touchscreen.tap(box["x"] + x, box["y"] + box["height"] / 2)
        if page.locator(".told b").count():
            break
    assert page.inner_text(".told b")
    assert page.locator(".player").is_visible()


def test_a_clip_that_is_gone_is_told(browser, page_file, tmp_path):
    alone = tmp_path / "moved.html"
    text = page_file.read_text()
    shutil.copy(page_file, alone)
    alone.write_text(text.replace("audio%20%26%20more", "gone"))
    page = browser.new_page()
    page.goto(alone.as_uri())
    page.focus(".plot")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.player p').textContent")
    assert "cannot be played: its audio is not where it was (" in page.inner_text(".player p")
    page.close()


def test_a_clip_beside_the_page_is_found(browser, page_file, report_runs, tmp_path):
    alone = tmp_path / "moved.html"
    alone.write_text(page_file.read_text().replace("audio%20%26%20more", "gone"))
    for clip in report_runs[0].utterances.values():
        shutil.copy(clip.path, tmp_path)
    page = browser.new_page()
    page.goto(alone.as_uri())
    page.focus(".plot")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('audio').readyState > 0")
    name = page.inner_text(".told b")
    assert (
        page.evaluate("document.querySelector('audio').src") == (tmp_path / f"{name}.wav").as_uri()
    )
    page.close()


@pytest.mark.parametrize(
    ("by", "first"), [("gender", "female (48)"), ("speaker", "planted/s0 (12)")]
)
def test_the_map_is_coloured_by_what_is_asked(visit, by, first):
    page = visit()
    page.select_option(".by", by)
    button = page.locator(".legend button").first
    assert button.inner_text() == first
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    shown = page.locator(".plot path:not(.faint)").count()
    assert shown == 1 < page.locator(".plot path").count()


def test_right_and_wrong_are_those_of_the_run(visit, report_runs):
    page = visit()
    page.select_option(".by", "right or wrong")
    counts = {
        name: int(count.rstrip(")"))
        for name, count in (
            b.inner_text().rsplit(" (", 1) for b in page.locator(".legend button").all()
        )
    }
    predictions = report_runs[0].predictions
    labels = report_runs[0].labels
    mean = predictions.groupby("id")[[f"pred_{x}" for x in labels]].mean().to_numpy().argmax(axis=1)
    truth = (
        predictions.groupby("id")[[f"true_{x}" for x in labels]].mean().to_numpy().argmax(axis=1)
    )
    assert counts["right"] == (mean == truth).sum()
    assert counts["wrong"] == (mean != truth).sum()


def test_it_prints_to_pages_without_cut_tables(visit):
    page = visit()
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") > 3
    page.emulate_media(media="print")
    for width, where in ((695, ":not(#leaderboard, #provenance) > * "), (1030, "")):
        page.set_viewport_size({"width": width, "height": 1000})
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        wide = page.evaluate(
            TOO_WIDE,
            f"section{where} table",
        )
        assert wide == [], width
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_what_is_folded_is_printed_and_folded_again(visit):
    page = visit()
    page.evaluate(COUNT_FOLDED)
    assert page.locator("details:not([open])").count() > 0
    page.pdf()
    assert page.evaluate("window.folded") == 0
    assert page.locator("details[open]").count() == 0


def test_hostile_names_neither_run_nor_break_the_page(browser, report_runs, tmp_path):
    run = Run(shutil.copytree(report_runs[0].path, tmp_path / "run"))
    write_hostile(run)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(report([Run(run.path)], tmp_path / "page.html").as_uri())
    page.focus(".plot")
    page.keyboard.press("Home")
    assert said == []
    assert "<script>alert(1)</script>" in page.inner_text(".told")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()


def test_the_skip_link_leads_to_the_results(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
