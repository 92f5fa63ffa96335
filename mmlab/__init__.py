"""mmlab: declarative multimodal experiments whose every result can be compared.

`mmlab.results(db)` reads results as polars frames, `mmlab.load(run)` loads a trained model. Both
are imported when first used, so that importing mmlab costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmlab.loading import load as load
    from mmlab.report.results import results as results

__version__ = "0.1.0"

_LAZY = {"results": "mmlab.report.results", "load": "mmlab.loading"}


def __getattr__(name: str) -> object:
    """The public functions, imported on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'mmlab' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """Also what is imported lazily."""
    return sorted([*globals(), *_LAZY])
