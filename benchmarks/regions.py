"""Regions of a picture for detection beside a plain loop of crops through the encoder.

    python benchmarks/regions.py [--device cuda] [--rounds 3]

All arms have the same random weights of ViT-B-32 in float32 on one thread and one picture of 640 x
480 pixels in memory, and end in features on the device. "windows": one resized copy a scale, one
batch. "loop": each window cut out, read by the encoder's own transform and encoded alone. "crops":
the same, encoded together. "tokens": the patches, one forward. CPU time of the process or the time
between events of the GPU, arms interleaved.
"""

from __future__ import annotations

import json
import statistics

import numpy as np
import torch
from measuring import clock_of, device_parser, keep_result, take_turns
from mmlab_fusions.inner_product import InnerProduct
from mmlab_openclip.encoder import open_clip as tower
from PIL import Image

from mmlab.data.reader import Reader
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate.detection.grid import Grid
from mmlab.evaluate.detection.regions import Patches, Proposals, Windows
from mmlab.evaluate.detection.scene import cut_out
from mmlab.model.components import BuildContext
from mmlab.model.model import Model

ARCHITECTURE = "ViT-B-32"
SCALES = (0.6, 0.4, 0.25)


def main() -> None:
    options = device_parser(__doc__, rounds=3).parse_args()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    subject = make_subject(device)
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    table = measure(subject, Image.fromarray(noise), options.rounds)
    print(json.dumps(table, indent=2))
    keep_result("regions", device, ("torch", "open_clip_torch", "pillow"), table)


def make_subject(device: torch.device) -> EvaluatedModel:
    """Towers of random weights on the device."""
    torch.manual_seed(0)
    context = BuildContext(frozenset({"pooled"}))
    image, text = (
        tower(key, context, architecture=ARCHITECTURE, pretrained="") for key in ("image", "text")
    )
    fusion = InnerProduct(dims=(image.dim, text.dim))
    model = Model({"image": image, "text": text}, fusion, ("image", "text")).eval().to(device)
    readers = {
        "image": Reader("image", image, torch.zeros(3, 224, 224, dtype=torch.uint8)),
        "text": Reader("text", text, torch.zeros(77, dtype=torch.int64)),
    }
    return EvaluatedModel(model, None, device, "fp32", readers)


@torch.no_grad()
def measure(subject: EvaluatedModel, picture: Image.Image, rounds: int) -> dict[str, object]:
    """Seconds a picture of every arm, and how many times as long as windows they take."""
    windows, encoder = Windows(subject, "image", Grid(SCALES)), subject.readers["image"].encoder
    boxes = [tuple(map(float, box)) for box in windows(picture, "a").boxes]
    proposed = Proposals(subject, "image", {"a": boxes})
    patches = Patches(subject, "image")

    def loop() -> torch.Tensor:
        rows = [encoder.transform(cut_out(picture, box), False)[None] for box in boxes]
        return torch.cat([subject.encode("image", x.to(subject.device)).pooled for x in rows])

    arms = {
        "windows": lambda: windows(picture, "a"),
        "loop": loop,
        "crops": lambda: proposed(picture, "a"),
        "tokens": lambda: patches(picture, "a"),
    }
    seconds = take_turns(arms, rounds, subject.device)
    own = statistics.median(seconds["windows"])
    ratios = {name: round(statistics.median(each) / own, 3) for name, each in seconds.items()}
    return {
        "goal": "loop >= 2x at 100 windows",
        "windows": len(boxes),
        "clock": clock_of(subject.device),
        "seconds": {name: [round(one, 4) for one in each] for name, each in seconds.items()},
        "ratio": ratios,
    }


if __name__ == "__main__":
    main()
