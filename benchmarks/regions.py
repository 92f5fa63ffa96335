"""Regions of a picture for detection beside a plain loop of crops through the encoder.

    python benchmarks/regions.py [--device cuda] [--rounds 3]

Two encoders of random weights in float32 on one thread: the convnet of mmlab-encoders at 64 pixels
and ViT-B-32 of open_clip at 224. All arms have one picture of 640 x 480 pixels in memory, and end
in features on the device. "windows": one resized copy a scale, one batch. "loop": each window cut
out, read by the encoder's own transform and encoded alone. "crops": the same, encoded together.
"tokens": the patches, one forward. "windows, read" and "loop, read" are what the first two do
before the encoder is asked, which is all that they do outside of it. CPU time of the process or
the time between events of the GPU, arms interleaved.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator

import numpy as np
import torch
from measuring import clock_of, device_parser, keep_result, take_turns
from mmlab_encoders.convnet import ConvNet
from mmlab_encoders.transformer import TextTransformer
from mmlab_fusions.inner_product import InnerProduct
from mmlab_openclip.encoder import open_clip as tower
from PIL import Image
from torch import Tensor, nn

from mmlab.data.reader import Reader
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate.detection.grid import Grid
from mmlab.evaluate.detection.regions import Patches, Proposals, Windows
from mmlab.evaluate.detection.scene import cut_out
from mmlab.model.components import BuildContext
from mmlab.model.model import Model

ARCHITECTURE = "ViT-B-32"
SCALES = (0.6, 0.4, 0.25)
#: An arm, and the one whose time it is a multiple of.
RATIOS = {
    "loop": "windows",
    "crops": "windows",
    "tokens": "windows",
    "loop, read": "windows, read",
}


def main() -> None:
    options = device_parser(__doc__, rounds=3).parse_args()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    picture = Image.fromarray(noise)
    encoders = {"convnet": convnets(), ARCHITECTURE: towers()}
    tables = {
        name: measure(make_subject(device, *pair), picture, options.rounds)
        for name, pair in encoders.items()
    }
    table = {
        "goal": "loop >= 2x at 100 windows",
        "clock": clock_of(device),
        "encoders": tables,
    }
    print(json.dumps(table, indent=2))
    keep_result("regions", device, ("torch", "open_clip_torch", "pillow"), table)


def convnets() -> tuple[nn.Module, nn.Module]:
    """The encoders of experiments/detection/emoji-scenes.toml."""
    torch.manual_seed(0)
    context = BuildContext(frozenset({"pooled"}))
    return ConvNet(context, width=32), TextTransformer(context, vocabulary="bytes", length=12)


def towers() -> tuple[nn.Module, nn.Module]:
    """Both towers of CLIP."""
    torch.manual_seed(0)
    context = BuildContext(frozenset({"pooled"}))
    image, text = (
        tower(key, context, architecture=ARCHITECTURE, pretrained="") for key in ("image", "text")
    )
    return image, text


def make_subject(device: torch.device, image: nn.Module, text: nn.Module) -> EvaluatedModel:
    """Encoders with random weights on the device."""
    encoders = {"image": image, "text": text}
    fusion = InnerProduct(dims=(image.dim, text.dim))
    model = Model(encoders, fusion, ("image", "text")).eval().to(device)
    values = {"image": Image.new("RGB", (8, 8)), "text": "a"}
    readers = {
        key: Reader(key, encoder, encoder.transform(values[key], False))
        for key, encoder in encoders.items()
    }
    return EvaluatedModel(model, None, device, "fp32", readers)


@torch.no_grad()
def measure(subject: EvaluatedModel, picture: Image.Image, rounds: int) -> dict[str, object]:
    """Seconds a picture of every arm, and ratios."""
    windows, encoder = Windows(subject, "image", Grid(SCALES)), subject.readers["image"].encoder
    boxes = [tuple(map(float, box)) for box in windows(picture, "a").boxes]
    proposed = Proposals(subject, "image", {"a": boxes})

    def read() -> Iterator[Tensor]:
        return (encoder.transform(cut_out(picture, box), False)[None] for box in boxes)

    def loop() -> Tensor:
        return torch.cat([subject.encode("image", x.to(subject.device)).pooled for x in read()])

    arms: dict[str, Callable[[], object]] = {
        "windows": lambda: windows(picture, "a"),
        "loop": loop,
        "crops": lambda: proposed(picture, "a"),
        "windows, read": lambda: list(windows.batches(picture)),
        "loop, read": lambda: list(read()),
    }
    if getattr(encoder, "patch_grid", None) is not None:
        patches = Patches(subject, "image")
        arms["tokens"] = lambda: patches(picture, "a")
    seconds = take_turns(arms, rounds, subject.device)
    typical = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        "windows": len(boxes),
        "seconds": {name: [round(one, 4) for one in each] for name, each in seconds.items()},
        "ratio": {
            f"{name} / {own}": round(typical[name] / typical[own], 3)
            for name, own in RATIOS.items()
            if name in arms
        },
    }


if __name__ == "__main__":
    main()
