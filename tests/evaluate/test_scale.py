"""Many labels in bounded memory, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

RANK = """
import json, resource
import torch
from mmlab.evaluate.rank_labels import rank_labels
from mmlab.evaluate.ranked import LabelScores
from mmlab.plugin import Calibration

SAMPLES, LABELS, WIDTH = 800, 200_000, 16
torch.set_num_threads(1)

def features(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, WIDTH, generator=generator), dim=1)

asked = features(SAMPLES, 0)
made = {}

def block(rows, columns):
    if columns.start not in made:
        made.clear()
        made[columns.start] = features(columns.stop - columns.start, 1 + columns.start)
    return asked[rows] @ made[columns.start].T

truths = [((7919 * sample) % LABELS,) for sample in range(SAMPLES)]
scores = LabelScores(lambda rows: 1 / 0, LABELS, LABELS, Calibration(100.0), block)
few = LabelScores(lambda rows: asked[rows], WIDTH, WIDTH, Calibration(1.0))
rank_labels(few, [(0,)] * SAMPLES, 5, "warm-up")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = rank_labels(scores, truths, 5, "scale")
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

parts = [block(slice(0, 3), slice(s, min(s + 65536, LABELS))) for s in range(0, LABELS, 65536)]
whole = torch.cat(parts, 1)
expected = [int((row > row[truth[0]]).sum()) + 1 for row, truth in zip(whole, truths)]
print(json.dumps({
    "grown_bytes": grown * 1024,
    "ranks": found.rank[:3].tolist(),
    "expected": expected,
    "first": found.top_label[:3].tolist(),
    "expected_first": whole.topk(5).indices.tolist(),
}))
"""


@pytest.mark.slow
def test_a_fifth_of_a_million_labels_are_ranked_without_their_matrix() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", RANK], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ranks"] == found["expected"]
    assert found["first"] == found["expected_first"]
    assert found["grown_bytes"] < 350e6, found  # the scores alone would be 640 MB
