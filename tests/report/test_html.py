from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup
from support.report_values import picture, ranked, record

from mmlab.report.page import gather
from mmlab.report.pictures.picture import Picture
from mmlab.report.render import html
from mmlab.report.render.html import render_page
from mmlab.report.results import Results
from mmlab.store import Store, open_store

AWKWARD = (
    "plain",
    "quotes ' \" ` {{ 7 * 7 }} {% raw %}",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "&amp; &lt;b&gt;",
    "line one\nline two\r\ttab",
    "emoji 🦜🏳️‍🌈",
    "right to left שלום \u202eoverride",
    "</style></script>-->",
)


class Document(HTMLParser):
    """What a browser would see: text by element, and every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.labels: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._is_label = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes
        self._is_label = dict(attributes).get("class") == "label"
        if self._is_label:
            self.labels.append("")

    def handle_endtag(self, tag: str) -> None:
        self._is_label = False

    def handle_data(self, data: str) -> None:
        if self._is_label:
            self.labels[-1] += data


@pytest.fixture
def page(store: Store) -> str:
    """A page about awkward labels, several seeds and a picture."""
    for seed in range(2):
        pictures = {"sample-0001": picture("teal")} if seed == 0 else {}
        result = ranked([1, 2, 3, 8, 1, 1, 1, 1], AWKWARD, pictures=pictures)
        record(store, result, seed=seed, curve=[3.0, 2.0, 1.5], experiment="<b>bold</b>")
    return render_page(gather(store))


def test_labels_are_shown_exactly_and_never_as_markup(page: str) -> None:
    document = Document(page)
    assert set(document.labels) == set(AWKWARD)
    assert document.tags.count("script") == 1
    assert "onerror" not in dict(document.attributes)


def test_nothing_runs_or_loads_but_the_own_style_and_script(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'").replace("&#43;", "+")
    assert allowed.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    for tag in ("style", "script"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in allowed


def test_the_page_stands_alone(page: str) -> None:
    attributes = Document(page).attributes
    links = [value or "" for name, value in attributes if name in ("src", "href")]
    assert links
    assert all(link.startswith(("data:image/webp;base64,", "#")) for link in links)
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]


def test_templates_never_switch_escaping_off() -> None:
    templates = sorted(Path(html.__file__).parent.glob("templates/*"))
    assert templates
    for template in templates:
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text()), template.name


def test_the_page_holds_results_curves_cards_labels_and_provenance(page: str) -> None:
    for part in (
        "95% over new samples and new seeds",
        'class="line k0 dashed"',
        "Ranked 2 out of 8 labels",
        "Every label (8)",
        "0123456789 + changes",
        "libraries.torch",
    ):
        assert part in page


def test_the_page_says_how_cards_were_chosen(page: str) -> None:
    assert "Not the best ones" in page


def test_an_empty_store_gives_a_page_that_says_so(store: Store) -> None:
    assert "No run is done yet" in render_page(gather(store))


def test_a_store_of_runs_that_were_asked_nothing_says_that(store: Store) -> None:
    run = record(store, curve=[2.0, 1.0])
    for page in (render_page(gather(store)), Results(store)._repr_html_()):
        assert "No done run was asked anything: add [[evaluate]] to the spec" in page
        assert "is done yet" not in page
    record(store, ranked([1, 2]), experiment="other")
    assert "was asked anything" not in render_page(gather(store))
    assert "No done run was asked anything" in render_page(gather(store, [run]))


@pytest.mark.slow
def test_a_report_is_written_without_torch(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url) as store:
        for seed in range(2):
            record(store, ranked([1, 2, 1, 3, 1, 1]), seed=seed)
    program = (
        "import sys; from pathlib import Path; from mmlab.store import open_store\n"
        "from mmlab.report.render.files import write_report\n"
        "with open_store(sys.argv[1]) as store: write_report(store, None, Path(sys.argv[2]))\n"
        "assert 'torch' not in sys.modules"
    )
    path = tmp_path / "report.html"
    subprocess.run([sys.executable, "-c", program, sqlite_url, str(path)], check=True)
    assert path.stat().st_size > 1000


def test_pictures_have_a_place_of_their_own(store: Store) -> None:
    record(store, ranked([1, 2]))
    drawn = Picture("ab", "a <b>", "read & see", 20, 10, Markup("<path/>"))
    page = gather(store)
    assert 'id="pictures"' not in render_page(page)
    shown = render_page(replace(page, pictures=(drawn,)))
    assert 'href="#pictures"' in shown
    assert "<path/>" in shown.partition('id="pictures"')[2]
    assert "a &lt;b&gt;" in shown
    assert "read &amp; see" in shown
