"""Where the text of an index is damaged: the line, what is wrong with it, and how to mend it."""

from __future__ import annotations

from pathlib import Path

from mmlab.plugin import DataError, explain


def damaged(
    path: Path, where: str, fault: str, *, found: object, allowed: str, next_step: str
) -> DataError:
    """The error of an index that cannot be understood; `where` follows the name of the file."""
    said = f"this is no manifest: {fault}"
    return DataError(
        explain(f"{path}{where}", said, found=found, allowed=allowed, next_step=next_step)
    )


def bad_quotes(path: Path, first: int, last: int, said: object) -> DataError:
    """A record of a CSV file whose quotes do not come in pairs; it goes on to line `last`."""
    reached = f"; the cell that they leave open reaches line {last}" if last > first else ""
    return damaged(
        path,
        f": line {first}",
        "it is damaged: the quotes of its cells cannot be understood",
        found=f"{said}{reached}",
        allowed='cells that begin and end with ", or have none; a " within is written twice',
        next_step=f"correct the quotes of the row that begins on line {first}",
    )


def wrong_width(
    path: Path, row: int, line: int, counts: tuple[int, int], separator: str
) -> DataError:
    """A record of a CSV file that has more or fewer cells than the header has columns."""
    count, width = counts
    if count > width:
        fault = "it is damaged: the row has more cells than the header has columns"
        step = f'put cells that hold a separator into quotes ("a{separator} b"), or correct the row'
    else:
        fault = "it is damaged: the row has fewer cells than the header has columns"
        step = f'write an empty cell for each that lacks ("a{separator}"), or correct the row'
    apart = "" if separator == "," else f"; {separator!r} is between cells"
    return damaged(
        path,
        f": row {row} (line {line})",
        fault,
        found=f"{count} cell{'s' * (count != 1)}",
        allowed=f"{width}, one for each column of the header{apart}",
        next_step=step,
    )


def header_again(path: Path, row: int, line: int) -> DataError:
    """A record of a CSV file that is its header once more: two files were put together."""
    return damaged(
        path,
        f": row {row} (line {line})",
        "it is damaged: the row repeats the header",
        found="the names of the columns as cells",
        allowed="one header, on the first line",
        next_step=f"remove line {line}",
    )


def no_object(path: Path, line: int, found: str) -> DataError:
    """A line of a JSONL file that is no JSON object."""
    return damaged(
        path,
        f": line {line}",
        "it is damaged: the line is no JSON object",
        found=found,
        allowed='one object a line, such as {"image": "a.png", "text": "a cat"}',
        next_step="correct the line",
    )


def key_twice(path: Path, line: int, key: str) -> DataError:
    """A line of a JSONL file in which an object has two values of one key."""
    return damaged(
        path,
        f": line {line}",
        "it is damaged: an object has one key more than once",
        found=repr(key),
        allowed="every key once",
        next_step="remove one of the two, or put both values into a list",
    )
