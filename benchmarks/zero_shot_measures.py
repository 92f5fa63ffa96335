"""Zero-shot after the features exist: ranking, measures of labels, and very many labels.

    python benchmarks/zero_shot_measures.py [--device cuda] [--rounds 3] [--samples 50000]

On one thread, with synthetic features of 512 numbers: (1) ranking 1,000 labels and all measures of
every label, with the peak memory over what the features take; (2) AUROC and average precision of
labels beside scikit-learn's, label by label, arms interleaved, on the host wherever the rest is;
(3) a million labels in blocks, with the peak memory, that of the device on a GPU. CPU time of the
process, or the time between events of the GPU.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics

import numpy as np
import torch
from measuring import clock_of, device_parser, keep_result, seconds_of, spread
from sklearn.metrics import average_precision_score, roc_auc_score

from mmlab.evaluate import metrics
from mmlab.evaluate.metrics import count_confusions, measure, measure_labels
from mmlab.evaluate.rank_labels import rank_labels
from mmlab.evaluate.ranked import LabelScores, RankedLabels, TruthRanks
from mmlab.plugin import Calibration
from mmlab.runner.provenance import peak_memory_bytes

LABELS, WIDTH = 1000, 512
#: Labels of which scikit-learn is asked; all of them would take minutes.
PEER_LABELS = 20
MANY_LABELS, MANY_SAMPLES = 1_000_000, 100
SCALE = Calibration(100.0)
CPU = torch.device("cpu")


def main() -> None:
    parser = device_parser(__doc__, rounds=3)
    parser.add_argument("--samples", type=int, default=50_000)
    options = parser.parse_args()
    device = torch.device(options.device)
    # Each in a process of its own: a process' peak of memory never falls.
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(
        1, initializer=torch.set_num_threads, initargs=(1,), maxtasksperchild=1
    ) as pool:
        tables = {
            "ranking": pool.apply(ranking, (options.samples, options.rounds, device)),
            "order_measures": pool.apply(order_measures, (options.samples, options.rounds)),
            "many_labels": pool.apply(many_labels, (device,)),
        }
    for name, table in tables.items():
        print(name, json.dumps(table))
    found = {"unit": f"seconds, {clock_of(device)}; bytes", **tables}
    libraries = ("mmlab", "torch", "numpy", "scikit-learn")
    keep_result("zero-shot-measures", device, libraries, found)


def features(count: int, seed: int, device: torch.device = CPU) -> torch.Tensor:
    generator = torch.Generator(device).manual_seed(seed)
    made = torch.randn(count, WIDTH, generator=generator, device=device)
    return torch.nn.functional.normalize(made, dim=1)


def ranking(samples: int, rounds: int, device: torch.device) -> dict[str, object]:
    asked, answers = features(samples, 0, device), features(LABELS, 1, device)
    truths = [(sample % LABELS,) for sample in range(samples)]
    scores = LabelScores(lambda rows: asked[rows] @ answers.T, LABELS, LABELS, SCALE)

    def judge() -> RankedLabels:
        ranked = rank_labels(scores, truths, 5, "benchmark")
        measure(ranked, measure_labels(ranked, LABELS), is_multi_label=False)
        count_confusions(ranked, LABELS)
        return ranked

    before = peak_memory_bytes(device)
    seconds = [seconds_of(judge, device) for _ in range(rounds)]
    return {
        "samples": samples,
        "labels": LABELS,
        "goal": "at most 10 s on one core and 1 GB",
        "seconds": spread(seconds),
        "peak_bytes_over_features": peak_memory_bytes(device) - before,
    }


def order_measures(samples: int, rounds: int) -> dict[str, object]:
    scores = (features(PEER_LABELS, 2) @ features(samples, 3).T).numpy()
    label = np.arange(samples) % LABELS  # so that positives are as rare as with 1,000 labels
    sample = np.flatnonzero(label < PEER_LABELS)
    unused = np.zeros(len(sample), dtype=np.float32)
    truths = TruthRanks(sample, label[sample], np.ones_like(sample), unused)
    is_truth = label == np.arange(PEER_LABELS)[:, None]

    def peer() -> list[tuple[float, float]]:
        pairs = zip(is_truth, scores, strict=True)
        return [(average_precision_score(t, s), roc_auc_score(t, s)) for t, s in pairs]

    def ours() -> dict[str, np.ndarray]:
        return metrics.order_measures(scores, truths)

    found = ours()
    both = np.stack([found["average_precision"], found["auroc"]], 1)
    seconds: dict[str, list[float]] = {"mmlab": [], "scikit-learn": []}
    for _ in range(rounds):
        seconds["mmlab"].append(seconds_of(ours, CPU))
        seconds["scikit-learn"].append(seconds_of(peer, CPU))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "samples": samples,
        "labels": PEER_LABELS,
        "goal": ">= 6x, equal to 1e-6",
        "cpu_seconds": {name: spread(values) for name, values in seconds.items()},
        "ratio": round(medians["scikit-learn"] / medians["mmlab"], 2),
        "largest_difference": float(np.abs(both - np.array(peer())).max()),
    }


def many_labels(device: torch.device) -> dict[str, object]:
    asked = features(MANY_SAMPLES, 4, device)
    made: dict[int, torch.Tensor] = {}

    def block(rows: slice, columns: slice) -> torch.Tensor:
        if columns.start not in made:
            made.clear()
            count = columns.stop - columns.start
            made[columns.start] = features(count, 5 + columns.start, device)
        return asked[rows] @ made[columns.start].T

    def nothing(rows: slice) -> torch.Tensor:
        raise AssertionError("so many labels are ranked in blocks")

    truths = [(7919 * sample % MANY_LABELS,) for sample in range(MANY_SAMPLES)]
    scores = LabelScores(nothing, MANY_LABELS, MANY_LABELS, SCALE, block)
    before = peak_memory_bytes(device)
    seconds = seconds_of(lambda: rank_labels(scores, truths, 5, "benchmark"), device)
    return {
        "samples": MANY_SAMPLES,
        "labels": MANY_LABELS,
        "goal": "bounded memory: not the labels' features, not their scores",
        "seconds_features_made_twice": round(seconds, 2),
        "peak_bytes": peak_memory_bytes(device) - before,
        "bytes_of_all_features": MANY_LABELS * WIDTH * 4,
        "bytes_of_all_scores": MANY_LABELS * MANY_SAMPLES * 4,
    }


if __name__ == "__main__":
    main()
