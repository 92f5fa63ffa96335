"""Pages and fragments of HTML. Everything from the store is escaped; no script comes from data.

A page stands alone: its style and its one script are inside, and a content security policy allows
these two by their hashes, pictures as `data:` URIs, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from mmlab import __version__
from mmlab.report.boards.board import Board
from mmlab.report.cards import Card
from mmlab.report.compare.details import Section
from mmlab.report.contents import FAILURE_HEADINGS
from mmlab.report.page import Page
from mmlab.report.pictures.charts import DOT_WIDTH
from mmlab.report.pictures.picture import Picture

#: Columns that a folded table has side by side, which paper has room for; sentences not folded.
SIDE_BY_SIDE, FINDINGS = 4, 8
#: Characters and lines from which on a label may scroll by itself.
_LONG, _HIGH = 100, 4


def render_page(page: Page) -> str:
    """The whole report as one HTML document."""
    environment = _environment()
    script = environment.get_template("page.js").render()
    policy = _policy(_source(script))
    return environment.get_template("page.html.j2").render(page=page, policy=policy)


def render_comparison(
    summary: Sequence[str], sections: Sequence[Section], pictures: Sequence[Picture] = ()
) -> str:
    """A comparison as one HTML document. Holds no script."""
    template = _environment().get_template("comparison.html.j2")
    facts = {"summary": summary, "sections": sections, "pictures": pictures}
    facts["version"] = __version__
    return template.render(policy=_policy("'none'"), **facts)


def _policy(scripts: str) -> str:
    style = _environment().get_template("style.css").render()
    return (
        f"default-src 'none'; img-src data:; style-src {_source(style)}; "
        f"script-src {scripts}; base-uri 'none'; form-action 'none'"
    )


def render_card(card: Card) -> str:
    """One card with its style, for notebooks. Holds no script."""
    return _environment().get_template("card_fragment.html.j2").render(card=card)


def render_cards(cards: Sequence[Card], title: str) -> str:
    """Cards as one HTML document. Holds no script."""
    template = _environment().get_template("cards.html.j2")
    facts = {"cards": cards, "title": title, "version": __version__}
    return template.render(policy=_policy("'none'"), **facts)


def render_boards(boards: Iterable[Board], findings: pl.DataFrame) -> str:
    """Boards with their style, and what was found, for notebooks. Holds no script."""
    template = _environment().get_template("boards_fragment.html.j2")
    return template.render(boards=list(boards), findings=findings["finding"].to_list())


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_exact,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    limits = {"side_by_side": SIDE_BY_SIDE, "shown_findings": FINDINGS}
    environment.globals.update(
        limits, dot_width=DOT_WIDTH, failure_headings=FAILURE_HEADINGS, scrolls=_scrolls
    )
    return environment


def _scrolls(*texts: str) -> bool:
    """Whether a label, or a prompt of these parts, must be reached by keyboard to be read whole."""
    text = "".join(texts)
    return len(text) > _LONG or text.count("\n") > _HIGH


def _exact(value: object) -> object:
    """A carriage return as a reference: a browser would read it as a line feed."""
    if isinstance(value, str) and "\r" in value:
        return Markup(str(escape(value)).replace("\r", "&#13;"))
    return value
