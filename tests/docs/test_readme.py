"""The README is a front page: short, with a picture, a spec, and verbs that lead to a report."""

from __future__ import annotations

from support.documents import README, commands, find_blocks, links

TEXT = README.read_text(encoding="utf-8")
BLOCKS = find_blocks(README)


def test_it_is_read_at_one_sitting() -> None:
    assert len(TEXT.splitlines()) <= 120


def test_it_shows_a_picture_of_a_report() -> None:
    picture = README.parent / "docs/report.png"
    assert "docs/report.png" in links(README)
    assert picture.stat().st_size < 150_000


def test_it_has_one_spec_and_both_commands() -> None:
    assert [block.about for block in BLOCKS if block.mark == "file"] == ["both.toml"]
    assert [words[:2] for words in commands(BLOCKS) if words[0] == "make"] == [
        ["make", "run"],
        ["make", "test"],
    ]


def test_four_verbs_lead_from_the_spec_to_a_report() -> None:
    verbs = [words[1:3] for words in commands(BLOCKS) if words[0] == "mmlab"]
    assert verbs == [
        ["validate", "both.toml"],
        ["run", "both.toml"],
        ["show", "both"],
        ["report", "both"],
    ]
