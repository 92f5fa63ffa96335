"""mmlab: declarative multimodal experiments whose every result can be compared.

`mmlab.results(db)` reads results as polars frames, `mmlab.load(run)` loads a trained model, which
ranks labels of one's own. Both are imported when first used, so that importing mmlab costs nothing;
their types are in the stub beside this file.
"""

from importlib import import_module

__version__ = "0.1.0"

#: Raised when mmlab itself computes other numbers from the same spec: every run then runs again.
NUMERICS = 1

__all__ = ["NUMERICS", "__version__", "load", "results"]

_LAZY = {"results": "mmlab.report.results", "load": "mmlab.loaded"}


def __getattr__(name: str) -> object:
    """The public functions, imported on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'mmlab' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """Also what is imported lazily."""
    return sorted([*globals(), *_LAZY])
