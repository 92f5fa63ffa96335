"""Tables of LaTeX: whatever a name holds, it stays text in its cell."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.report_values import identity, ranked, record

from mmlab.cli import main
from mmlab.report.contents import all_boards, read_contents
from mmlab.report.render.files import to_text, write_report
from mmlab.report.render.latex import escaped, to_latex
from mmlab.store import Store, open_store

HOSTILE = (
    "100 % of a_b & c",
    "\\input{/etc/passwd} $x^2$ #1 ~",
    "[2pt] first",
    "* star",
    "line\n\\end{table}\rtwo",
    "-- --- <a|b> \"quoted\" 'so' `so`",
    "emoji 🦜 שלום",
)
#: A command, or one character that is escaped; what is left of a text after both is plain.
_COMMAND = re.compile(r"\\(?:[a-zA-Z]+(?:\{\})?|[^a-zA-Z])")


def tables(text: str) -> list[tuple[str, list[list[str]]]]:
    """Of every tabular its columns, and its rows as cells."""
    found = []
    pattern = r"\\begin\{tabular\}\{(\w+)\}\n\\toprule\n(.*?)\n\\bottomrule\n\\end\{tabular\}"
    for columns, body in re.findall(pattern, text, re.DOTALL):
        rows = [line for line in body.split("\n") if line != "\\midrule"]
        assert all(row.endswith(" \\\\") for row in rows)
        found.append((columns, [re.split(r"(?<!\\)&", row.removesuffix(" \\\\")) for row in rows]))
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_escaped_text_holds_no_command_of_its_own(name: str) -> None:
    left = _COMMAND.sub("", escaped(name).replace("$-$", ""))
    assert not set(left.replace("-{}-", "")) & set('\\{}$&#^_~%<>|"\n\r')
    known = {"textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater"}
    known |= {"textbar", "textquotedbl", "textasciigrave", "textquotesingle"}
    assert set(re.findall(r"\\([a-zA-Z]+)", escaped(name))) <= known


def test_a_number_has_a_minus_and_a_range_a_dash() -> None:
    assert escaped("-30 [-40, +19]") == "$-$30 [$-$40, +19]"
    assert escaped("zero-shot 1-13") == "zero-shot 1-13"


def test_every_row_has_the_cells_of_its_table_whatever_names_hold(store: Store) -> None:
    for name in HOSTILE:
        record(store, ranked([1, 2, 1, 3, 1, 1]), experiment=name)
    contents = read_contents(store)
    text = to_text(store, contents, "tex")
    found = tables(text)
    assert found
    for columns, rows in found:
        assert {len(row) for row in rows} == {len(columns)}
        assert len(rows) == 1 + len(HOSTILE)
        assert not any(row[0].startswith(("[", "*")) for row in rows)
    assert text.count("\\begin{table}") == text.count("\\end{table}") == 1
    depth = re.sub(r"\\[{}]", "", text)
    assert depth.count("{") == depth.count("}")


def test_figures_are_those_of_the_boards_and_as_bold(sqlite_store: Store) -> None:
    for seed in range(3):
        for cell, rank in {"fusion=good": 1, "fusion=fine": 1, "fusion=bad": 2}.items():
            record(sqlite_store, ranked([rank] * 50 + [3] * 10), cell=cell, seed=seed)
    (board,) = all_boards(sqlite_store, read_contents(sqlite_store))
    text = to_latex([board])
    found = tables(text)
    assert [cell.strip() for cell in found[0][1][0]][:3] == ["\\#", "fusion", "top1"]
    figures = [cell.strip() for _, rows in found for row in rows[1:] for cell in row]
    for entry in board.entries:
        for figure in entry.figures:
            shown = escaped(figure.text)
            assert (f"\\textbf{{{shown}}}" if figure.is_best else shown) in figures
    first = [cell.strip() for cell in found[0][1][1]]
    assert first[:3] == ["1--2", "fine", "\\textbf{83.3\\% [71.6, 90.8]}"]
    assert "tied for first: 2 of 3" in text


def test_failures_and_what_was_planned_are_in_it(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url) as store:
        record(store, ranked([1, 2]), cell="a_b", seed=0)
        made = identity("emoji", "a_b", 1)
        run = store.submit(replace(made))
        claim = store.claim(run.run_id, "worker", 60)
        assert claim is not None
        store.fail(claim, "nan", "loss_1 is {nan}", "Traceback")
        write_report(store, None, tmp_path / "table.tex")
    text = (tmp_path / "table.tex").read_text()
    assert "1 of 2; 1 failed: nan" in text
    assert "loss\\_1 is \\{nan\\}" in text
    assert "% failures: 1 run failed: 1 nan." in text
    call = ["report", "--format", "tex", "--db", sqlite_url]
    assert CliRunner().invoke(main, call).stdout == text
