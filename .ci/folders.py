"""The folders of mmlab and what each imports, from the imports themselves, types' among them.

Prints a folder a line, those above first, as docs/inside/architecture.md shows it:

    python .ci/folders.py
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import grimp

#: In the order of the layer rule of pyproject.toml.
ORDER = (
    *("cli", "runner", "train", "evaluate", "report", "interop", "model", "statistics", "store"),
    *("data", "testing", "plan", "spec", "plugin"),
)


def imports_of_folders() -> dict[str, set[str]]:
    """For each folder of mmlab, the others that any of its modules imports."""
    graph = grimp.build_graph("mmlab", exclude_type_checking_imports=False)
    found = defaultdict[str, set[str]](set)
    for module in graph.modules:
        folder = _folder(module)
        found[folder] |= {_folder(m) for m in graph.find_modules_directly_imported_by(module)}
    return {folder: found[folder] - {folder} for folder in found}


def draw(imports: Mapping[str, set[str]]) -> str:
    """A line a folder: its name, and the folders that it imports."""
    lines = [
        f"{folder:<12}{' '.join(f for f in ORDER if f in imports[folder])}" for folder in ORDER
    ]
    return "\n".join(line.rstrip() for line in lines)


def _folder(module: str) -> str:
    """The first name below mmlab; modules that stand beside the folders are their own."""
    return module.partition(".")[2].partition(".")[0]


if __name__ == "__main__":
    print(draw(imports_of_folders()))
