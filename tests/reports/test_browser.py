"""Pages in a real browser: widths, contrast, names for screen readers, paper.

The browser is Debian's Chromium; where there is none these tests are skipped and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pfa_core
from tests.browser import Browser, a_browser
from tests.factories import World, a_world, draft, record
from tests.forms import long
from tests.reports import pages, worlds
from tests.server import Server
from tests.worlds import a_copy

WIDTHS = (360, 800, 1280)
PAPER = 695  # CSS pixels of a line of A4 between the margins of the page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with a_browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def usual(url: str) -> World:
    """What a report usually shows: drafts, an old pull, several months."""
    names = ("Crane", "Dozer", "Tower Crane", 'Trailer, 40" flat')
    records = [
        record(f"P-{number}", category=name, monthlyRate=45_000 * (number + 1),
               forecastEnd=f"2026-0{number + 2}-20")
        for number, name in enumerate(names)
    ]  # fmt: skip
    world = a_world(url, *records)
    draft(world.db, world.principal(), "P-1", monthlyRate=1, session="rates", reason="new rates")
    return world


def empty(url: str) -> World:
    return a_world(url)


WORLDS: dict[str, Callable[[str], World]] = {
    "usual": usual,
    "hostile": worlds.hostile,
    "huge": worlds.huge,
    "empty": empty,
}


@pytest.fixture
def page(postgres: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The page of one of the worlds."""
    with a_copy(postgres, WORLDS[request.param]) as world:
        title = worlds.HOSTILE_TITLE if request.param == "hostile" else ""
        found = pfa_core.report(world.db, world.principal(), title=title)
        pfa_core.write_report(found, tmp_path / "report.html")
    return tmp_path / "report.html"


EVERY = pytest.mark.parametrize(
    "page", ["hostile", "huge", *long(["usual", "empty"])], indirect=True
)


@pytest.mark.slow
@pytest.mark.variants(1)
@EVERY
def test_a_page_reads_well_on_every_width_in_light_and_dark_and_on_paper(
    browser: Browser, page: Path
) -> None:
    for dark in (False, True):
        for width in WIDTHS:
            browser.show(page, width=width, dark=dark)
            assert browser.run(pages.OVERFLOWING) == [], (width, dark)
        number, faint = browser.run(pages.FAINT_TEXTS)
        assert number > 20
        assert faint == [], dark
        assert browser.run(pages.FAINT_SHAPES)[1] == [], dark
    assert browser.run(pages.UNNAMED) == []
    assert browser.run(pages.RUNNING) == []
    browser.show(page, width=PAPER, dark=True, media="print")
    assert browser.run(pages.OVERFLOWING) == []
    assert browser.run(pages.CUT_ON_PAPER) == []
    number, faint = browser.run(pages.FAINT_TEXTS)
    assert number > 20
    assert faint == []
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.pdf().startswith(b"%PDF-")
    assert browser.requests
    assert set(browser.requests) == {page.as_uri()}
    assert browser.said == []
    browser.requests.clear()


@pytest.mark.slow
@pytest.mark.parametrize("page", ["hostile"], indirect=True)
def test_the_page_keeps_what_it_does_not_have_from_running(browser: Browser, page: Path) -> None:
    text = page.read_text().replace("</body>", "<script>window.ran = 1</script></body>")
    page.write_text(text)
    browser.show(page, width=800)
    assert browser.run("window.ran === undefined")
    assert any("Content Security Policy" in said for said in browser.said)
    browser.said.clear()
    browser.requests.clear()


def test_the_checks_find_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<html><body style='background:#fff'><h2>x</h2><h4>y</h4><p style='color:#aaa'>faint text</p>"
        "<div style='width:2000px'>wide</div><svg><rect class='forecast' fill='#eee'/></svg><img>"
        "<table><tr><th>1</th></tr></table></body></html>"
    )
    browser.show(page, width=800)
    assert browser.run(pages.OVERFLOWING)
    assert [each.split()[0] for each in browser.run(pages.FAINT_TEXTS)[1]] == ["2.32"]
    assert len(browser.run(pages.FAINT_SHAPES)[1]) == 1
    assert browser.run(pages.CUT_ON_PAPER)
    unnamed = browser.run(
        pages.UNNAMED.replace('each.getAttribute("aria-labelledby").split', '"a".split')
    )
    for what in (
        "h2 at 0",
        "h4 at 1",
        "an svg without role=img",
        "IMG",
        "a table without a caption",
    ):
        assert what in unnamed
    browser.requests.clear()
