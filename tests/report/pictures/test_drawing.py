"""The drawing kit: what is written is escaped, what is labelled keeps apart, colours are seen."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import Markup
from support.svg import Drawn, contrast, shown, told

from mmlab.report.pictures.axes import Frame, spread, wide_extent, x_axis
from mmlab.report.pictures.drawing import LONGEST, element, fitted, hover, text, text_width
from mmlab.report.pictures.marks import Box, place_labels
from mmlab.report.pictures.picture import Picture, file_name, named_apart
from mmlab.report.render import svg
from mmlab.report.render.svg import to_svg, write_pictures

HOSTILE = "</text><script>alert(1)</script> & \" ' \x00\x1b\u202e\ufffe {{ 7 }} line\nbreak"


def picture(*parts: Markup, name: str = "p") -> Picture:
    return Picture(name, "title <i>", "caption & more", 200.0, 100.0, Markup("").join(parts))


def test_any_text_is_shown_and_none_is_markup() -> None:
    mark = element("circle", hover(HOSTILE, "second"), class_=HOSTILE, r=1)
    drawn = Drawn(picture(text(1, 20, HOSTILE), mark))
    assert not drawn.all("script")
    expected = (
        "</text><script>alert(1)</script> & \" ' \\x00\\x1b\\u202e\ufffd {{ 7 }} line\\nbreak"
    )
    assert drawn.texts() == [expected]
    assert told(drawn.all("circle")[0]) == [expected, "second"]


@given(st.text(min_size=1, max_size=60), st.floats(30, 200))
def test_a_cut_text_fits_and_keeps_both_ends(content: str, limit: float) -> None:
    found = fitted(content, limit)
    assert text_width(found) <= limit or len(found) <= 3
    if found != content:
        before, after = found.split("…") if content.count("…") == 0 else ("", "")
        assert content.startswith(before)
        assert content.endswith(after)


def test_a_text_that_is_cut_is_whole_under_the_pointer() -> None:
    (one,) = Drawn(picture(text(0, 9, "a" * 50, limit=60))).all("text")
    assert "…" in shown(one)
    assert told(one) == ["a" * 50]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12))
def test_labels_keep_their_distance_and_order_and_move_no_more_than_they_must(
    places: list[float],
) -> None:
    found = spread(places, 8.0, 0.0, 100.0)
    order = np.argsort(places, kind="stable")
    steps = np.diff(np.array(found)[order])
    assert (steps >= 8.0 - 1e-9).all()
    assert min(found) >= -1e-9
    assert max(found) <= 100 + 1e-9
    wanted = np.array(places)[order]
    if (np.diff(wanted) >= 8.0).all():
        assert found == pytest.approx(places)


def test_labels_of_marks_cover_no_mark_no_line_and_no_other_label() -> None:
    draw = np.random.default_rng(3)
    frame = Frame(0, 0, 400, 300)
    marks = [(float(x), float(y)) for x, y in draw.uniform([0, 0], [400, 300], (40, 2))]
    names = [f"recipe {number}" for number in range(40)]
    line = Box(0, 149, 400, 151)
    found = place_labels(marks, names, frame, [line])
    assert 10 < len(found) <= 40
    for place, label in enumerate(found):
        assert not label.box.touches(line)
        assert not any(label.box.touches(other.box) for other in found[:place])
        assert not any(label.box.touches(Box(x - 6, y - 6, x + 6, y + 6)) for x, y in marks)


def test_values_of_very_different_size_stand_on_a_logarithmic_axis() -> None:
    extent, is_log = wide_extent([1e3, 1e6])
    axis = x_axis("n", extent, Frame(0, 0, 300, 100), None, is_log=is_log)
    places = [axis.scale(value) for value in (1e3, 1e4, 1e5, 1e6)]
    assert is_log
    assert np.diff(places) == pytest.approx([np.diff(places)[0]] * 3, abs=0.05)
    assert {tick.text for tick in axis.ticks} >= {"1k", "10k", "100k", "1M"}
    assert wide_extent([10.0, 20.0])[1] is False


def test_names_of_files_are_harmless_and_apart() -> None:
    assert file_name("a", "../../etc/passwd\x00", "é ß") == "a-..-..-etc-passwd"
    assert len(file_name("x" * 500)) == 100
    made = named_apart(
        [picture(name="a"), picture(name="a"), picture(name="a-1"), picture(name="a")]
    )
    assert len({one.name for one in made}) == 4


def test_a_file_stands_alone_in_light_colours() -> None:
    text = to_svg(picture())
    assert "var(" not in text
    assert "@media" not in text
    assert "--" not in text
    assert "fill: #1c2024" in text


def test_files_are_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    paths = write_pictures([picture(name="a"), picture(name="b")], tmp_path / "new" / "figures")
    assert [path.name for path in paths] == ["a.svg", "b.svg"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["a.svg", "b.svg"]


STYLE = Path(svg.__file__).with_name("templates") / "picture.css"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_lines_have_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    light, dark = STYLE.read_text().split("@media", 1)
    block = light if scheme == "light" else dark
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    groups = [f"c{number}" for number in range(8)]
    assert set(colours) >= {*groups, "ink", "soft", "axis", "paper", "good", "bad", "up", "down"}
    for name in (*groups, "ink", "soft", "up", "down"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    assert contrast(colours["axis"], colours["paper"]) >= 3
    for fill in ("good", "bad"):  # figures stand on cells of them
        assert contrast(colours["ink"], colours[fill]) >= 4.5, fill


@example(content="G", limit=10.0)
@given(content=st.text(max_size=60), limit=st.floats(10, 400))
def test_a_text_is_cut_to_the_longest_that_fits(content: str, limit: float) -> None:
    def cut(kept: int) -> str:
        return f"{content[: kept // 2]}…{content[len(content) - (kept - kept // 2) :]}"

    cuts = [cut(kept) for kept in range(len(content) - 1, 0, -1)]
    fitting = (one for one in (content, *cuts) if text_width(one) <= limit)
    assert fitted(content, limit) == next(fitting, cuts[-1] if cuts else content)


def test_of_a_text_without_an_end_little_is_drawn() -> None:
    drawn = text(0, 0, "long" * 250_000, limit=100)
    assert len(drawn) < 3 * LONGEST
