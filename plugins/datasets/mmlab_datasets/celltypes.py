"""What the types of a table's columns can say: texts, whole numbers, lists, fields of structs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl


def is_text(dtype: pl.DataType) -> bool:
    """True for texts, and for texts that are written as the numbers of categories."""
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def is_list(dtype: pl.DataType) -> bool:
    """True for lists, of one length or of any."""
    return isinstance(dtype, pl.List | pl.Array)


def item_type(dtype: pl.DataType) -> pl.DataType:
    """The type of the items of lists; another type itself."""
    if not isinstance(dtype, pl.List | pl.Array):
        return dtype
    inner = dtype.inner
    return inner if isinstance(inner, pl.DataType) else inner()


def as_lists(series: pl.Series) -> pl.Series:
    """Lists of one length as lists; others as they are."""
    return series.arr.to_list() if isinstance(series.dtype, pl.Array) else series


def as_names(series: pl.Series) -> pl.Series:
    """Booleans as "false" and "true", floats that are whole as whole numbers, in lists too.

    Lists of booleans, and what else cannot be the name of a label, stay as they are.
    """
    series = as_lists(series)
    item, has_lists = item_type(series.dtype), is_list(series.dtype)
    if item == pl.Boolean and not has_lists:
        return series.cast(pl.String)
    if not item.is_float() or as_whole(series.explode() if has_lists else series) is None:
        return series
    return series.cast(pl.List(pl.Int64) if has_lists else pl.Int64, strict=False)


def as_whole(series: pl.Series) -> pl.Series | None:
    """Floats as whole numbers, NaN as null; None where one has a fraction or is past 64 bits."""
    known = series.fill_nan(None)
    whole = known.cast(pl.Int64, strict=False)
    is_whole = (whole.cast(pl.Float64) == known.cast(pl.Float64)) | known.is_null()
    return whole if is_whole.fill_null(False).all() else None


def parted(name: str, columns: Collection[str]) -> tuple[str, list[str]] | None:
    """The column that `name` begins with, and the fields after it; None where there is none.

    >>> parted("caption.en", ["caption"])
    ('caption', ['en'])
    """
    if name in columns:
        return name, []
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        column = ".".join(parts[:count])
        if column in columns:
            return column, parts[count:]
    return None


def within(series: pl.Series, fields: Sequence[str]) -> pl.Series | None:
    """A field of structs, or of lists of structs, as a column; None where there is none."""
    for field in fields:
        series = as_lists(series)
        if field not in fields_of(series.dtype):
            return None
        if isinstance(series.dtype, pl.List):
            series = series.list.eval(pl.element().struct.field(field))
        else:
            series = series.struct.field(field)
    return series


def fields_of(dtype: pl.DataType) -> list[str]:
    """The fields of a struct, or of the structs in a list; none of another type."""
    inner = item_type(dtype)
    return [field.name for field in inner.fields] if isinstance(inner, pl.Struct) else []


def pick(table: pl.DataFrame, name: str) -> pl.Series | None:
    """The column of this name, or the field `column.field`; None where there is neither."""
    found = parted(name, table.columns)
    return None if found is None else within(table[found[0]], found[1])


def offer_fields(name: str, dtype: pl.DataType) -> str | None:
    """What to write in place of the name of a struct: one of its fields; None for other types."""
    fields = [f'"{name}.{field}"' for field in fields_of(dtype)]
    return f"name one of its fields: {', '.join(fields[:20])}" if fields else None
