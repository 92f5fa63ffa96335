"""Every page of docs/, and every plugin's README, does what it says, from an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.checkout import ROOT
from support.documents import Reader, dead_links, find_blocks, unknown_options

PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/README.md")])
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


def test_there_are_pages() -> None:
    assert len(PAGES) > 4


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_a_page_names_only_what_there_is(path: Path) -> None:
    assert unknown_options(find_blocks(path)) == []
    assert dead_links(path) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_every_block_of_a_page_does_what_it_says(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_postgres_url: str
) -> None:
    reader = Reader(tmp_path, monkeypatch, empty_postgres_url)
    blocks = [block for block in find_blocks(path) if block.runs]
    assert [fault for block in blocks if (fault := reader.fault(block))] == []
