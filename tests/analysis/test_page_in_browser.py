"""The page in a real browser, as a reader meets it: mouse, keyboard, phone, dark room, printer. No test without Chromium."""

import base64
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, MISSING, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"{MISSING}, so the page was opened in no browser")

DESKTOP, PHONE, PAPER_PX = (1200, 900), (390, 844), 680  # an A4 sheet without its margins, at 96 pixels an inch
# The mark of a figure that is farthest from all others: its middle on the screen, its distance to them, its text.
LONELY = """(() => {
  const middle = mark => { const at = mark.getBoundingClientRect(); return [at.x + at.width / 2, at.y + at.height / 2]; };
  const marks = [...document.querySelectorAll("#figure-tradeoff .mark")];
  marks[0].closest("svg").scrollIntoView({block: "center"});
  const away = mark => Math.min(...marks.filter(other => other !== mark).map(other =>
    Math.hypot(middle(other)[0] - middle(mark)[0], middle(other)[1] - middle(mark)[1])));
  const found = marks.sort((a, b) => away(b) - away(a))[0];
  return [...middle(found), away(found), found.getAttribute("aria-label")]; })()"""
TIP = """(() => { const tip = document.getElementById("tip"), at = tip.getBoundingClientRect();
  return tip.hidden ? null : [tip.textContent, at.left, at.top, at.right, at.bottom]; })()"""
# WCAG 2: the contrast of a colour with the paper behind it, for every element with a text of its own.
CONTRASTS = """(() => {
  const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = node => { for (; node; node = node.parentElement) { const colour = getComputedStyle(node).backgroundColor;
    if (!/^rgba\\(.*, 0\\)$/.test(colour)) return colour; } };
  const found = {};
  for (const node of document.querySelectorAll("main *:not(svg *), header *, nav a")) {
    if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((p, q) => q - p);
    const name = node.tagName + "." + node.className;
    found[name] = Math.min(found[name] ?? 99, (a + 0.05) / (b + 0.05)); }
  return found; })()"""


@pytest.fixture(scope="module")
def browser(reported, tmp_path_factory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.resize(*DESKTOP)
        opened.open(reported.folder / "report.html")
        yield opened
        assert opened.errors == []  # of all tests here


@pytest.fixture(autouse=True)
def desk(browser: Browser) -> None:
    """Every test begins at a desk, with no mark open."""
    browser.media()
    browser.resize(*DESKTOP)
    browser.run("document.activeElement.blur(), hide(), scrollTo(0, 0)")
    browser.point(0, 0)


def sorted_column(browser: Browser, column: int) -> tuple[list[str], str]:
    """The numbers of a column of the ablation table from top to bottom, and what its head says of their order."""
    table = "document.querySelector('#ablation_table ~ .scroll table')"
    values = browser.run(f"[...{table}.tBodies[0].rows].map(row => row.cells[{column}].dataset.v)")
    return values, browser.run(f"{table}.tHead.rows[0].cells[{column}].getAttribute('aria-sort')")


def test_everything_is_drawn_and_nothing_was_fetched(browser, reported):
    sizes = browser.run(
        "[...document.querySelectorAll('figure svg')]"
        ".map(s => [s.getBoundingClientRect().height, s.querySelectorAll('path, use').length])"
    )
    assert len(sizes) == len(list((reported.folder / "figures").glob("*.svg"))) >= 9
    assert all(height > 100 and n_drawn > 20 for height, n_drawn in sizes)
    pictures = browser.run("[...document.images].map(image => image.naturalWidth)")
    assert pictures == [8 * 16] * 15
    fetched = browser.run("performance.getEntriesByType('resource').map(entry => entry.name.slice(0, 5))")
    assert set(fetched) <= {"data:"}


def test_every_entry_of_the_contents_leads_to_its_heading(browser):
    links = browser.run("[...document.querySelectorAll('nav a')].map(a => [a.hash, a.textContent])")
    titles = browser.run("[...document.querySelectorAll('h2')].map(h => ['#' + h.id, h.textContent])")
    assert links == titles
    assert [title for _, title in titles][:5] == [
        "Verdicts", "Criteria of the claim", "Gate", "Coverage", "Cautions",
    ]  # fmt: skip


def test_a_click_on_a_head_sorts_by_number_and_a_second_one_turns_it(browser):
    click = "document.querySelectorAll('#ablation_table ~ .scroll table th button')[2].click()"
    browser.run(click)
    values, order = sorted_column(browser, 2)
    assert (order, values) == ("ascending", sorted(values, key=float))
    assert values != sorted(values)[::-1]
    browser.run(click)
    assert sorted_column(browser, 2) == (values[::-1], "descending")


def test_the_keyboard_sorts_as_well(browser):
    browser.run("document.querySelectorAll('#ablation_table ~ .scroll table th button')[3].focus()")
    browser.press("Enter")
    values, order = sorted_column(browser, 3)
    known = [float(value) for value in values if value]
    assert (order, known) == ("ascending", sorted(known))
    assert values[len(known) :] == [""] * (len(values) - len(known))  # what has no difference stands last


def test_hovering_a_point_of_the_tradeoff_gives_arm_interval_seeds_and_keys(browser, reported):
    texts = browser.run("[...document.querySelectorAll('#figure-tradeoff .mark')].map(m => m.ariaLabel)")
    assert len(texts) == 2 * 15  # every arm in both panels
    x, y, away, text = browser.run(LONELY)
    assert away > 12
    browser.point(x + 4, y + 3)  # near is near enough
    shown, left, top, right, bottom = browser.run(TIP)
    assert shown == text
    assert 0 <= left < right <= DESKTOP[0]
    assert 0 <= top < bottom <= DESKTOP[1]
    arm, value, *rest = shown.split("\n")
    assert arm in reported.html
    assert value.startswith("mask IoU 0.")
    assert "[0." in value
    assert value.endswith("seeds")
    keys = {path.name for path in (reported.study / "trials").iterdir()}
    seeds = [line.split() for line in rest if line.startswith("seed ")]
    assert len(seeds) in (4, 5)
    assert {words[-1] for words in seeds} <= keys
    browser.point(2, 2)
    assert browser.run(TIP) is None


def test_the_keyboard_walks_from_mark_to_mark(browser):
    stops = browser.run(
        "[...document.querySelectorAll('svg.marked')].map(s => s.querySelectorAll('[tabindex=\"0\"]').length)"
    )
    assert set(stops) == {1}  # one stop of the Tab key per figure
    second = browser.run("document.querySelectorAll('#figure-effects .mark')[1].ariaLabel")
    browser.run("document.querySelectorAll('#figure-effects .mark')[0].focus()")
    browser.press("ArrowRight")
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert browser.run(TIP)[0] == second  # after the page has scrolled to it
    assert "paired seeds" in second
    browser.press("Escape")
    assert browser.run(TIP) is None


def test_a_phone_shows_the_page_without_scrolling_sideways(browser):
    browser.resize(*PHONE, phone=True)
    assert browser.run("document.documentElement.scrollWidth") == PHONE[0]
    wide = browser.run(
        "[...document.querySelectorAll('main > *, figure svg')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth).length"
    )
    assert wide == 0
    x, y, _, text = browser.run(LONELY)
    browser.point(x, y, "mousePressed")
    shown, left, _, right, _ = browser.run(TIP)
    assert shown == text
    assert 0 <= left < right <= PHONE[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(browser, scheme):
    browser.media(scheme)
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 254)", "dark": "rgb(21, 24, 27)"}[scheme]
    contrasts = browser.run(CONTRASTS)
    assert {"SPAN.verdict worse", "SPAN.verdict no-verdict", "TD.", "P.muted"} <= set(contrasts)
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}


def test_paper_is_light_and_no_table_runs_off_it(browser):
    browser.media("dark", "print")
    browser.resize(PAPER_PX, 960)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 254)"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    widths = browser.run("[...document.querySelectorAll('.scroll')].map(s => [s.scrollWidth, s.clientWidth])")
    assert len(widths) >= 6
    assert all(needed <= given for needed, given in widths)
    browser.media()
    pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")
    assert browser.run("[...document.querySelectorAll('details.fold')].every(fold => fold.open)")


def test_the_same_id_is_never_given_twice(browser):
    ids = browser.run("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert [name for name, group in itertools.groupby(sorted(ids)) if len(list(group)) > 1] == []


def test_an_error_on_a_page_is_noticed(browser, tmp_path: Path):
    """The check of all errors at the end can fail."""
    broken = tmp_path / "broken.html"
    broken.write_text("<script>undeclared()</script><img src='nowhere.png'>")
    before = browser.run("location.href")
    browser.open(broken)
    assert len(browser.errors) == 2
    browser.errors.clear()
    browser.open(Path(before.removeprefix("file://")))
