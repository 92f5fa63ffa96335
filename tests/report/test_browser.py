"""The page in a real browser: on a phone, a desktop and paper, without a network, for everybody."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.browser import A4_WIDTH, Browser, find_browser, is_required, running_browser
from support.report_values import asked, identity, picture, ranked, record, record_fusion

from mmlab.report.page import gather
from mmlab.report.render.html import render_page
from mmlab.store import Store, open_store

pytestmark = pytest.mark.slow
PHONE, DESKTOP = 390, 1280
LONG = "fusion=low_rank_bilinear_with_a_name_that_is_rather_long(modality_dropout=0.3)"
#: Elements that reach beyond the page; within what scrolls, they may.
BEYOND = """
[...document.querySelectorAll("body *")].filter((one) =>
  one.checkVisibility() && !one.closest(".scroll *") &&
  one.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map((one) => one.outerHTML.slice(0, 120))
"""
#: Whatever is cut: an element whose content is larger than itself, and does not show.
CUT = """
[...document.querySelectorAll("body *")].filter((one) =>
  one.checkVisibility() && getComputedStyle(one).overflowX !== "visible" &&
  (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)
).map((one) => one.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def page(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all there is: gains, several seeds, failures, long names, labels and pictures."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "mmlab.db").write_bytes(sqlite_template.read_bytes())
    with open_store(f"sqlite:///{folder / 'mmlab.db'}") as store:
        _plant(store)
        page = gather(store)
    (folder / "report.html").write_text(render_page(page))
    return folder / "report.html"


def _plant(store: Store) -> None:
    easy = np.random.default_rng(0).random(120)
    for name, level in {"text": 0.5, "sum": 0.8, "gating": 0.8, "inner_product": 0.2}.items():
        inputs = ["text"] if name == "text" else ["image", "text"]
        for seed in range(2):
            record_fusion(store, name, inputs, asked(list(easy < level)), seed=seed)
    labels = ("cat", "dog\nwith a line", "x" * 400, "emoji 🦜", "שלום", "bee")
    for seed in range(3):
        pictures = {"sample-0001": picture("teal")} if seed == 0 else {}
        for cell in ("fusion=sum", LONG):
            result = ranked([1, 2, 3, 6, 1, 1] * 4, labels, pictures=pictures)
            record(store, result, cell=cell, seed=seed, curve=[3.0, 2.0, 1.5], experiment="vision")
    run = store.submit(identity("vision", LONG, 3))
    claim = store.claim(run.run_id, "worker", 60)
    assert claim is not None
    store.fail(claim, "nan", f"the loss is not finite {'at a place ' * 20}", "Traceback")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A running browser; skips where there is none, but fails in CI."""
    program = find_browser()
    if program is None and is_required():
        pytest.fail("no Chromium could be found")
    if program is None:
        pytest.skip("no Chromium: install the package `chromium`")
    with running_browser(program) as running:
        yield running


def test_nothing_is_wider_than_a_phone_a_desktop_or_a_sheet(browser: Browser, page: Path) -> None:
    for width in (PHONE, DESKTOP):
        browser.open(page, width)
        shown = Image.open(io.BytesIO(browser.screenshot()))
        assert shown.width == width
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        assert browser.evaluate(BEYOND) == []
        assert browser.messages() == []
        assert browser.requests() == [page.as_uri()]
    boards = "[...document.querySelectorAll('.board .scroll')].filter(e => e.checkVisibility())"
    sizes = browser.evaluate(f"{boards}.map((one) => [one.scrollWidth, one.clientWidth])")
    assert len(sizes) == 3
    assert all(wide <= room for wide, room in sizes)


def test_a_phone_shows_the_first_number_and_that_a_table_scrolls(
    browser: Browser, page: Path
) -> None:
    browser.open(page, PHONE)
    first = "document.querySelector('.board td.num:not(:first-child)').getBoundingClientRect()"
    assert browser.evaluate(f"{first}.left > 0 && {first}.right <= innerWidth")
    scrolls = browser.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((one) => one.checkVisibility() && "
        "one.scrollWidth > one.clientWidth).map((one) => [one.tabIndex, "
        "getComputedStyle(one).backgroundAttachment])"
    )
    assert scrolls
    assert all(one == [0, "local, local, scroll, scroll"] for one in scrolls)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page, PHONE if scheme == "dark" else DESKTOP, scheme=scheme)
    browser.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    assert browser.violations() == []


def test_paper_opens_what_is_folded_keeps_colours_and_cuts_nothing(
    browser: Browser, page: Path
) -> None:
    browser.open(page, A4_WIDTH, "print", scheme="dark")
    assert browser.evaluate(BEYOND) == []
    assert browser.evaluate(CUT) == []
    folded = "[...document.querySelectorAll('details :is(td, th)')]"
    assert browser.evaluate(f"{folded}.length") > 10
    assert browser.evaluate(f"{folded}.every((one) => one.checkVisibility())")
    style = "getComputedStyle(document.body)"
    assert browser.evaluate(f"{style}.printColorAdjust") == "exact"
    assert browser.evaluate(f"{style}.backgroundColor") == "rgb(255, 255, 255)"
    sheets = len(re.findall(rb"/Type\s*/Page\b", browser.printed()))
    height = browser.evaluate("document.documentElement.scrollHeight")
    assert height / 1040 <= sheets <= 2 + 1.7 * height / 1040


def test_a_column_is_sorted_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    seeds = "[...document.querySelectorAll('#board-1 tbody td.seeds')].map(e => e.textContent)"
    browser.evaluate("document.querySelector('#board-1 th:last-child button').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r")
    head = "document.querySelector('#board-1 th:last-child').ariaSort"
    assert browser.evaluate(head) == "descending"
    found = browser.evaluate(seeds)
    assert found == sorted(found, reverse=True)
