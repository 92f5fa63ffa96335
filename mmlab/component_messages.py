"""What a component says while it is made, shown where the spec asks for it."""

from __future__ import annotations

from mmlab.document import Document
from mmlab.faults import Where, dotted
from mmlab.places import describe, render_explained


def name_table(document: Document | None, table: Where) -> str:
    """A table as messages name it: `file:line:column: table`."""
    if document is None:
        return dotted(table)
    return f"{describe(document.place(table))}: {dotted(table)}"


def place_message(message: str, document: Document | None, table: Where) -> str:
    """A component's message at its table, or at the option that it begins with, or a key of that.

    The option may follow the first word of the table: "losses.scale: ...", "losses.table.key: ...".
    """
    if document is None:
        return message
    rest = message.removeprefix(str(table[0]))
    if rest == message or rest[:1] not in (".", ":"):
        rest = f": {message}"
    option, dot, key = rest.lstrip(".: ").partition(": ")[0].partition(".")
    inside = (option, key) if dot else (option,)
    place = document.place((*table, *inside) if (*table, option) in document.places else table)
    return render_explained(place, f"{dotted(table)}{rest}", at_key=bool(dot))
