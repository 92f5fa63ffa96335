import pytest

from mmlab.model.components import BuildContext


@pytest.fixture
def context() -> BuildContext:
    """A model that reads pooled features and tokens."""
    return BuildContext(frozenset({"pooled", "tokens"}))
