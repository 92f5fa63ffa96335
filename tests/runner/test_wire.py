"""Records as bytes and back: equal to the bit, and a damaged file ends at its last whole frame."""

from __future__ import annotations

import io
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmlab.metric import Metric
from mmlab.records import EvaluationResult, MetricPoint, Rankings
from mmlab.runner.wire import frame, pack, read_frames, unpack


@given(st.text(), st.integers(-(2**63), 2**63 - 1), st.floats(width=64))
def test_a_point_comes_back_as_it_was(name: str, step: int, value: float) -> None:
    back = unpack(MetricPoint, pack(MetricPoint(name, step, value)))

    assert (back.name, back.step) == (name, step)
    assert back.value == value or (math.isnan(back.value) and math.isnan(value))


def test_a_result_comes_back_with_its_arrays_and_all_that_is_nested() -> None:
    result = EvaluationResult(
        "zero_shot",
        "zero_shot",
        "",
        "test",
        "revision",
        protocol={"k": 5, "templates": ["a photo of {}", None], "deep": {"x": [1.5, True]}},
        subject={},
        metrics={"top1": 0.1, "top5": None, "loss": math.inf},
        labels=("a", "b"),
        rankings=Rankings(np.arange(6, dtype=np.int32).reshape(3, 2), np.ones((3, 2), np.float32)),
        thumbnails={"one": b"RIFF\x00\xff"},
        declared=[Metric("top1", "higher", "share")],
    )

    back: EvaluationResult = unpack(EvaluationResult, pack(result))
    assert back.rankings is not None
    assert result.rankings is not None

    assert back.rankings.label.dtype == np.int32
    np.testing.assert_array_equal(back.rankings.label, result.rankings.label)
    assert back.declared == result.declared
    assert dict(back.metrics) == dict(result.metrics)
    assert dict(back.protocol) == dict(result.protocol)
    assert back.thumbnails["one"] == b"RIFF\x00\xff"


def test_what_is_no_record_is_refused_on_both_ways() -> None:
    with pytest.raises(TypeError, match="neither a plain value"):
        pack(MetricPoint("loss", 1, object()))  # type: ignore[arg-type]
    with pytest.raises(msgspec.ValidationError):
        unpack(MetricPoint, pack({"name": "loss", "step": "one", "value": 0.5}))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.data())
def test_of_a_file_that_was_cut_off_the_whole_frames_are_read(
    contents: list[bytes], data: st.DataObject
) -> None:
    whole = [frame(content) for content in contents]
    end = data.draw(st.integers(0, len(b"".join(whole))))
    fitting = sum(len(b"".join(whole[: i + 1])) <= end for i in range(len(whole)))

    read = list(read_frames(io.BytesIO(b"".join(whole)[:end])))

    assert read == contents[:fitting]


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_flipped_bit_is_noticed(content: bytes, data: st.DataObject) -> None:
    written = bytearray(frame(content))
    bit = data.draw(st.integers(64, 8 * len(written) - 1))
    written[bit // 8] ^= 1 << bit % 8

    assert list(read_frames(io.BytesIO(bytes(written)))) == []
