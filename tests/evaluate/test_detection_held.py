"""Scores of many pictures' regions: in memory or in files, they are the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mmlab.errors import RunError
from mmlab.evaluate.detection import held
from mmlab.evaluate.detection.found import ScoredRegions
from mmlab.evaluate.detection.held import HeldRegions


def regions(number: int) -> ScoredRegions:
    draw = np.random.default_rng(number)
    cells = (2, number) if number % 2 else None
    scores = torch.from_numpy(draw.random((2 * number, 3), np.float32))
    return ScoredRegions(draw.random((2 * number, 4)), scores, (640, 480 + number), cells)


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("held_bytes", [0, 100, 1 << 20])
def test_regions_come_back_in_their_order_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_bytes: int
) -> None:
    monkeypatch.setattr(held, "HELD_BYTES", held_bytes)
    with HeldRegions() as every:
        for number in range(6):  # the first picture has no regions
            every.add(regions(number))
        for _ in range(2):
            found = list(every)
            assert [one.size[1] for one in found] == list(range(480, 486))
            for number, one in enumerate(found):
                own = regions(number)
                assert (one.boxes == own.boxes).all()
                assert torch.equal(one.scores, own.scores)
                assert one.cells == own.cells
        folders = list(tmp_path.iterdir())
        assert len(folders) == (0 if held_bytes == 1 << 20 else 1)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "HELD_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with HeldRegions() as every, pytest.raises(RunError, match="TMPDIR"):
        every.add(regions(1))
