"""Pictures into batches: cached uint8 pictures in mmlab beside PIL and open_clip's transform.

    python benchmarks/images_in.py [--rounds 7]

Both arms give batches of the same pictures at the same size, on one thread, in evaluation mode and
with the training crop. The peer opens one PNG a picture with PIL and applies open_clip's own
transform, normalised in float32 on the host; mmlab leaves normalising to the device. It reads the
embedded emoji, which are decoded once, or ("kept") gathers training batches, without a crop, from
the file of uint8 inputs that it keeps. CPU time of the process, arms interleaved.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmlab_datasets.emoji import Emoji
from mmlab_encoders.convnet import ConvNet
from open_clip.transform import AugmentationCfg, image_transform
from PIL import Image

from mmlab.data.kept_batches import kept_training_batches
from mmlab.data.loader import evaluation_batches, training_batches
from mmlab.data.order import Order
from mmlab.data.reader import Reader, make_readers
from mmlab.data.samples import read_outline
from mmlab.data.tables import CachedSplit, InputTable, read_table, write_table
from mmlab.runner.kept_encode import Values, transform_values

PIXELS = 64
BATCH_SIZE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    data = Emoji("train")
    files = [encoded(data[index].values["image"]) for index in range(len(data))]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        measured = pairs(data, files, Path(folder))
    for name, arms in measured.items():
        rates = interleave(arms, len(data), rounds)
        ratios = [ours / peer for ours, peer in zip(rates["mmlab"], rates["peer"], strict=True)]
        rows.append(
            {
                "transform": name,
                "mmlab_samples_per_second": statistics.median(rates["mmlab"]),
                "peer_samples_per_second": statistics.median(rates["peer"]),
                "ratio": statistics.median(ratios),
                "ratio_quartiles": statistics.quantiles(ratios, n=4),
            }
        )
        print(
            f"{name:10} mmlab {rows[-1]['mmlab_samples_per_second']:8.0f}/s   "
            f"PIL + open_clip {rows[-1]['peer_samples_per_second']:8.0f}/s   "
            f"ratio {rows[-1]['ratio']:.2f}"
        )
    write(rows, rounds)


def encoded(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def pairs(
    data: Emoji, files: list[bytes], folder: Path
) -> dict[str, dict[str, Callable[[], Iterator[Any]]]]:
    """The two arms: in evaluation, in training with a crop, in training from kept inputs."""
    context: Any = SimpleNamespace(reads=frozenset({"pooled"}))
    encoder: Any = ConvNet(context, image_size=PIXELS, crop=0.7)
    readers = make_readers(data, {"image": encoder}, {"image": "image"})
    order = Order(0, len(data), BATCH_SIZE)
    crop = AugmentationCfg(scale=(0.7, 1.0))
    kept = kept_inputs(data, readers["image"], folder / "kept.safetensors")
    plain = image_transform(PIXELS, is_train=False)
    cropped = image_transform(PIXELS, is_train=True, aug_cfg=crop)
    return {
        "evaluation": {
            "mmlab": lambda: evaluation_batches(data, readers, BATCH_SIZE),
            "peer": lambda: by_hand(files, plain),
        },
        "training": {
            "mmlab": lambda: itertools.islice(
                training_batches(data, readers, order, workers=0), order.steps_per_epoch
            ),
            "peer": lambda: by_hand(files, cropped),
        },
        "kept": {
            "mmlab": lambda: itertools.islice(
                kept_training_batches(kept, data, ["image"], order), order.steps_per_epoch
            ),
            "peer": lambda: by_hand(files, plain),
        },
    }


def kept_inputs(data: Emoji, reader: Reader, path: Path) -> CachedSplit:
    """The transformed inputs of the split, mapped from their file."""
    outline = read_outline(data)
    table = transform_values(Values(data, outline, reader), 0, lambda done: None)
    write_table(path, table, {})
    found = read_table(path)
    assert isinstance(found, InputTable)
    return CachedSplit({}, outline, {"image": found})


def by_hand(files: list[bytes], transform: Any) -> Iterator[torch.Tensor]:
    for start in range(0, len(files), BATCH_SIZE):
        chunk = files[start : start + BATCH_SIZE]
        yield torch.stack([transform(Image.open(io.BytesIO(file))) for file in chunk])


def interleave(
    arms: dict[str, Callable[[], Iterator[Any]]], count: int, rounds: int
) -> dict[str, list[float]]:
    """Samples per CPU second of each arm and round; one round goes first and is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name in sorted(arms, reverse=bool(turn % 2)):
            started = time.process_time()
            for _ in arms[name]():
                pass
            if turn:
                rates[name].append(count / (time.process_time() - started))
    return rates


def write(rows: list[dict[str, Any]], rounds: int) -> None:
    document = {
        "benchmark": "images_in",
        "goal": "ratio >= 1.8 decoded, >= 50 kept",
        "clock": "CPU time of the process",
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "pillow", "open_clip_torch")},
        },
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "images-in-cpu.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
