r"""Boards as tables of LaTeX, in the style of the booktabs package, for a paper.

Text from the store is escaped: nothing of it is a command. A file is `\input`, and needs
`\usepackage{booktabs}`; other scripts than Latin need XeLaTeX or LuaLaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from mmlab.report.boards.board import Board, Entry, Figure
from mmlab.report.contents import FAILURE_HEADINGS, failure_cells

#: Figures that stand side by side; a line of a page in A4 has room for so many with intervals.
_SIDE_BY_SIDE = 4
_SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "†": r"\textdagger{}",
    "·": r"\textperiodcentered{}",
    "—": r"\textemdash{}",
}
#: The sign of a number, which a hyphen is not.
_MINUS = re.compile(r"(?<![\w.)-])-(?=[\d.])")


def to_latex(
    boards: Iterable[Board],
    failures: pl.DataFrame | None = None,
    findings: pl.DataFrame | None = None,
) -> str:
    """A `table` for each board, bold as on the boards; what was found stands above as comments."""
    parts = ["% \\usepackage{booktabs}\n"]
    if findings is not None and not findings.is_empty():
        parts.append(_comments(findings))
    parts += map(_board, boards)
    if failures is not None and not failures.is_empty():
        parts.append(_failures(failures))
    return "\n".join(parts)


def escaped(text: str) -> str:
    r"""Text that LaTeX sets as it is; what is no character of a line becomes a space.

    >>> escaped("100 % of a_b"), escaped("\\input{x}")
    ('100 \\% of a\\_b', '\\textbackslash{}input\\{x\\}')
    """
    found = "".join(_SPECIAL.get(one, one) for one in _one_line(text))
    return _MINUS.sub("$-$", found).replace("--", "-{}-")


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)


def _comments(findings: pl.DataFrame) -> str:
    """Lines of comments: a line break in a name would end one."""
    said = (f"{row['about']}: {row['finding']}" for row in findings.iter_rows(named=True))
    return "".join(f"% {_one_line(line)}\n" for line in said)


def _board(board: Board) -> str:
    places = range(len(board.metrics))
    blocks = [places[i : i + _SIDE_BY_SIDE] for i in places[::_SIDE_BY_SIDE]]
    tables = "\n\n\\medskip\n".join(
        _tabular(_headings(board, block), [_cells(board, block, entry) for entry in board.entries])
        for block in blocks
    )
    return _table(tables, f"{board.full_title}. {'; '.join(board.notes)}.")


def _headings(board: Board, block: Sequence[int]) -> list[str]:
    """The place stands at the right, as numbers do, the name at the left."""
    return ["#", board.heading, *(board.metrics[place] for place in block), *_seeds(board, block)]


def _seeds(board: Board, block: Sequence[int]) -> list[str]:
    return ["seeds"] if block[-1] == len(board.metrics) - 1 else []


def _cells(board: Board, block: Sequence[int], entry: Entry) -> list[str]:
    figures = (_figure(entry.figures[place]) for place in block)
    progress = [escaped(entry.progress)] if _seeds(board, block) else []
    placing = escaped(entry.placing).replace("-", "--")
    return [placing, escaped(entry.label), *figures, *progress]


def _figure(figure: Figure) -> str:
    text = escaped(figure.text)
    return f"\\textbf{{{text}}}" if figure.is_best else text


def _failures(failures: pl.DataFrame) -> str:
    rows = [[escaped(cell) for cell in row] for row in failure_cells(failures)]
    return _table(_tabular(FAILURE_HEADINGS, rows, "l" * len(FAILURE_HEADINGS)), "Failures.")


def _table(inner: str, caption: str) -> str:
    lines = ["\\begin{table}", "\\centering\\small", f"\\caption{{{escaped(caption)}}}"]
    return "\n".join([*lines, inner, "\\end{table}", ""])


def _tabular(headings: Sequence[str], rows: Sequence[Sequence[str]], columns: str = "") -> str:
    columns = columns or "rl" + "r" * (len(headings) - 2)
    return "\n".join(_lines(headings, rows, columns))


def _lines(headings: Sequence[str], rows: Sequence[Sequence[str]], columns: str) -> Iterator[str]:
    yield f"\\begin{{tabular}}{{{columns}}}"
    yield "\\toprule"
    yield _row([escaped(heading) for heading in headings])
    yield "\\midrule"
    yield from map(_row, rows)
    yield "\\bottomrule"
    yield "\\end{tabular}"


def _row(cells: Sequence[str]) -> str:
    """A row; a bracket or a star at its start would belong to the end of the row before."""
    start = "{}" if cells[0][:1] in ("[", "*") else ""
    return f"{start}{' & '.join(cells)} \\\\"
