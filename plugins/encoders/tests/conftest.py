import pytest

from mmlab.testing.tools import BuildContext


@pytest.fixture
def context() -> BuildContext:
    """A model that reads pooled features and tokens."""
    return BuildContext(frozenset({"pooled", "tokens"}))
