"""Zero-shot on one open_clip model beside CLIP_benchmark: the text classifier, and the image loop.

    python benchmarks/classifier.py [--rounds 3]

Both arms have the same random weights of ViT-B-32 in float32 on one thread, the same prompts and
pictures. The classifier: 8 labels in 4 short templates; mmlab cuts text to the longest prompt of a
batch, CLIP_benchmark encodes 77 tokens. The image loop: 256 pictures at 224 pixels, from tensors in
memory to top-1; mmlab also ranks all labels and measures every label. CPU time of the process, arms
interleaved.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import open_clip
import torch
from clip_benchmark.metrics.zeroshot_classification import (
    run_classification,
    zero_shot_classifier,
)
from mmlab_fusions.inner_product import InnerProduct
from mmlab_openclip.encoder import open_clip as tower

from mmlab.data.reader import Reader
from mmlab.evaluate import EvaluatedModel, encode_split
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.evaluate.label_features import LabelFeatures, Remembered
from mmlab.evaluate.prompts import Prompts
from mmlab.model.model import Model
from mmlab.plugin import Features, Sample
from mmlab.testing.tools import BuildContext

ARCHITECTURE, BATCH_SIZE, PICTURES = "ViT-B-32", 16, 256
LABELS = ("airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat")
TEMPLATES = ("a photo of a {}.", "a drawing of a {}.", "art of the {}.", "itap of a {}.")


class Pictures:
    """Random pictures, decoded already."""

    modalities, labels, templates = ("image",), LABELS, TEMPLATES
    is_multi_label, revision = False, "random"

    def __init__(self) -> None:
        self.images = torch.randn(PICTURES, 3, 224, 224)
        self.truths = torch.arange(PICTURES) % len(LABELS)

    def __len__(self) -> int:
        return PICTURES

    def __getitem__(self, index: int) -> Sample:
        return Sample(str(index), {"image": self.images[index]}, (int(self.truths[index]),))


class Tower(torch.nn.Module):
    """The image tower, of tensors that are normalised already."""

    preprocessing, token_dim = "none", None

    def __init__(self, visual: torch.nn.Module, dim: int) -> None:
        super().__init__()
        self.visual, self.dim = visual, dim

    def transform(self, raw: torch.Tensor, train: bool) -> torch.Tensor:
        """The tensor as it is."""
        return raw

    def forward(self, x: torch.Tensor) -> Features:
        """Pooled features."""
        return Features.of(self.visual(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    peer = open_clip.create_model(ARCHITECTURE).eval()
    subject, data = make_subject(peer), Pictures()
    tables = {
        "classifier": classifier(subject, peer, rounds),
        "images": images(subject, peer, data, rounds),
    }
    for name, table in tables.items():
        print(name, json.dumps(table))
    keep(tables)


def make_subject(peer: torch.nn.Module) -> EvaluatedModel:
    """mmlab's model with the peer's weights."""
    context = BuildContext(frozenset({"pooled"}))
    text = tower("text", context, architecture=ARCHITECTURE, pretrained="")
    text.tower.load_state_dict(
        {
            key: value
            for key, value in peer.state_dict().items()
            if not key.startswith(("visual.", "logit"))
        },
        strict=True,
    )
    image = Tower(peer.visual, text.dim)
    fusion = InnerProduct(dims=(text.dim, text.dim))
    model = Model({"image": image, "text": text}, fusion, ("image", "text")).eval()
    readers = {
        "image": Reader("image", image, torch.zeros(3, 224, 224)),
        "text": Reader("text", text, torch.zeros(77, dtype=torch.int64)),
    }
    return EvaluatedModel(model, None, torch.device("cpu"), "fp32", readers)


def classifier(subject: EvaluatedModel, peer: torch.nn.Module, rounds: int) -> dict[str, object]:
    tokenizer = open_clip.get_tokenizer(ARCHITECTURE)
    templates = [template.replace("{}", "{c}") for template in TEMPLATES]

    def ours() -> torch.Tensor:
        with (
            LabelFeatures(
                fresh(subject), "text", Prompts(LABELS, TEMPLATES), averages=True
            ) as made,
            torch.no_grad(),
        ):
            return torch.nn.functional.normalize(made.whole().pooled, dim=1)

    def theirs() -> torch.Tensor:
        return zero_shot_classifier(peer, tokenizer, LABELS, templates, "cpu", amp=False).T

    difference = float((ours() - theirs()).abs().max())
    table = compare({"mmlab": ours, "CLIP_benchmark": theirs}, rounds)
    goal = ">= 4x on short prompts, embeddings equal to 1e-6"
    return {"goal": goal, **table, "largest_difference": difference}


def images(
    subject: EvaluatedModel, peer: torch.nn.Module, data: Pictures, rounds: int
) -> dict[str, object]:
    tokenizer = open_clip.get_tokenizer(ARCHITECTURE)
    templates = [template.replace("{}", "{c}") for template in TEMPLATES]
    weights = zero_shot_classifier(peer, tokenizer, LABELS, templates, "cpu", amp=False)
    loader = torch.utils.data.DataLoader(
        list(zip(data.images, data.truths, strict=True)), batch_size=BATCH_SIZE
    )
    evaluator = ZeroShot(scale=100.0, cards=0)
    remembered = fresh(subject)

    def ours() -> float | None:
        encoded = encode_split(remembered, data, "test", BATCH_SIZE)
        (result,) = evaluator(remembered, encoded, "zero_shot")
        return result.metrics["top1"]

    def theirs() -> float:
        logits, target = run_classification(peer, weights, loader, "cpu", amp=False)
        # Its own `accuracy` does not run with numpy 2.
        return float((logits.argmax(1) == target).float().mean())

    assert ours() == theirs(), "both arms must find the same"
    goal = ">= 1.0x with rankings and measures of labels too"
    return {"goal": goal, **compare({"mmlab": ours, "CLIP_benchmark": theirs}, rounds)}


def fresh(subject: EvaluatedModel) -> EvaluatedModel:
    """The subject without any features of labels."""
    return EvaluatedModel(**{**vars(subject), "remembered": Remembered()})


def compare(arms: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, object]:
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds):
        for name in sorted(arms, reverse=bool(turn % 2)):
            start = time.process_time()
            arms[name]()
            seconds[name].append(time.process_time() - start)
    ratios = [peer / own for own, peer in zip(*seconds.values(), strict=True)]
    return {
        "cpu_seconds": {
            name: [round(value, 3) for value in values] for name, values in seconds.items()
        },
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
    }


def keep(tables: Mapping[str, object]) -> None:
    libraries = ("mmlab", "torch", "open_clip_torch", "clip-benchmark")
    document = {
        "benchmark": "classifier",
        "unit": "seconds of one core; ratios peer / mmlab",
        **tables,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in libraries},
    }
    target = Path(__file__).parent / "results" / "classifier-cpu.json"
    target.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
