"""One spelling per value."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmlab.hashing import canonical_json, digest


def test_equal_content_has_one_digest() -> None:
    assert digest({"a": 1, "b": [2.0, None]}) == digest({"b": (2.0, None), "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.0})
    assert canonical_json({"é": {2, 1}, "p": Path("a") / "b"}) == '{"p":"a/b","é":[1,2]}'


def test_a_digest_refuses_what_has_no_one_spelling() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(float("nan"))
