"""Imports of mmlab: no module leads back to itself, however the import is written."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def require_no_circle(imports: Mapping[str, set[str]]) -> None:
    """Raises CycleError, which names a circle, where there is one."""
    TopologicalSorter(imports).prepare()


def test_no_module_of_mmlab_leads_back_to_itself() -> None:
    graph = grimp.build_graph("mmlab", exclude_type_checking_imports=False)
    imports = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    assert len(imports) > 150
    require_no_circle(imports)


def test_a_circle_of_three_is_found() -> None:
    with pytest.raises(CycleError):
        require_no_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
