"""Zero-shot on one open_clip model beside CLIP_benchmark: the text classifier, and the image loop.

    python benchmarks/classifier.py [--device cuda] [--rounds 3] [--pictures 256]

Both arms have the same random weights of ViT-B-32 in float32 on one thread, the same prompts and
pictures. The classifier: 8 labels in 4 short templates; mmlab cuts text to the longest prompt of a
batch, CLIP_benchmark encodes 77 tokens. The image loop: pictures at 224 pixels, 256 of them in
batches of 16 on a CPU and 4,096 in batches of 256 on a GPU, from tensors in memory to top-1; mmlab
also ranks all labels and measures every label. CPU time of the process or the time between events
of the GPU, arms interleaved.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping

import open_clip
import torch
from clip_benchmark.metrics.zeroshot_classification import (
    run_classification,
    zero_shot_classifier,
)
from measuring import clock_of, device_parser, keep_result, take_turns
from mmlab_fusions.inner_product import InnerProduct
from mmlab_openclip.encoder import open_clip as tower

from mmlab.data.reader import Reader
from mmlab.evaluate import EvaluatedModel, encode_split
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.evaluate.label_features import LabelFeatures
from mmlab.evaluate.prompts import Prompts
from mmlab.evaluate.subject import Remembered
from mmlab.model.components import BuildContext
from mmlab.model.model import Model
from mmlab.plugin import Features, Sample

ARCHITECTURE = "ViT-B-32"
#: How many pictures there are, and how many in a batch.
SIZES = {"cpu": (256, 16), "cuda": (4096, 256)}
#: How far top-1 of the two may be apart on a GPU, whose kernels add up in another order for another
#: length of text: random weights score labels almost alike.
TOP1_TOLERANCE = {"cpu": 0.0, "cuda": 0.02}
LABELS = ("airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat")
TEMPLATES = ("a photo of a {}.", "a drawing of a {}.", "art of the {}.", "itap of a {}.")


class Pictures:
    """Random pictures, decoded already."""

    modalities, labels, templates = ("image",), LABELS, TEMPLATES
    is_multi_label, revision = False, "random"

    def __init__(self, count: int) -> None:
        self.images = torch.randn(count, 3, 224, 224)
        self.truths = torch.arange(count) % len(LABELS)

    def __len__(self) -> int:
        return len(self.truths)

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
    options = read_options()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    peer = open_clip.create_model(ARCHITECTURE).eval()
    subject = make_subject(peer, device)
    count, batch_size = SIZES[device.type]
    data = Pictures(options.pictures or count)
    tables = {
        "classifier": classifier(subject, peer, options.rounds),
        "images": images(subject, peer, data, batch_size, options.rounds),
    }
    for name, table in tables.items():
        print(name, json.dumps(table))
    keep(tables, device)


def read_options() -> argparse.Namespace:
    parser = device_parser(__doc__, rounds=3)
    parser.add_argument("--pictures", type=int)
    return parser.parse_args()


def make_subject(peer: torch.nn.Module, device: torch.device) -> EvaluatedModel:
    """mmlab's model with the peer's weights, both on the device."""
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
    image = Tower(peer.to(device).visual, text.dim)
    fusion = InnerProduct(dims=(text.dim, text.dim))
    model = Model({"image": image, "text": text}, fusion, ("image", "text")).eval().to(device)
    readers = {
        "image": Reader("image", image, torch.zeros(3, 224, 224)),
        "text": Reader("text", text, torch.zeros(77, dtype=torch.int64)),
    }
    return EvaluatedModel(model, None, device, "fp32", readers)


def classifier(subject: EvaluatedModel, peer: torch.nn.Module, rounds: int) -> dict[str, object]:
    tokenizer = open_clip.get_tokenizer(ARCHITECTURE)
    templates = [template.replace("{}", "{c}") for template in TEMPLATES]
    device = subject.device.type  # CLIP_benchmark takes a name

    def ours() -> torch.Tensor:
        with (
            LabelFeatures(
                fresh(subject), "text", Prompts(LABELS, TEMPLATES), averages=True
            ) as made,
            torch.no_grad(),
        ):
            return torch.nn.functional.normalize(made.whole().pooled, dim=1)

    def theirs() -> torch.Tensor:
        return zero_shot_classifier(peer, tokenizer, LABELS, templates, device, amp=False).T

    difference = float((ours() - theirs()).abs().max())
    table = compare({"mmlab": ours, "CLIP_benchmark": theirs}, rounds, subject.device)
    goal = ">= 4x on short prompts, embeddings equal to 1e-6"
    return {"goal": goal, **table, "largest_difference": difference}


def images(
    subject: EvaluatedModel, peer: torch.nn.Module, data: Pictures, batch_size: int, rounds: int
) -> dict[str, object]:
    tokenizer = open_clip.get_tokenizer(ARCHITECTURE)
    templates = [template.replace("{}", "{c}") for template in TEMPLATES]
    device = subject.device.type
    weights = zero_shot_classifier(peer, tokenizer, LABELS, templates, device, amp=False)
    loader = torch.utils.data.DataLoader(
        list(zip(data.images, data.truths, strict=True)), batch_size=batch_size
    )
    evaluator = ZeroShot(scale=100.0, cards=0)
    remembered = fresh(subject)

    def ours() -> float:
        encoded = encode_split(remembered, data, "test", batch_size)
        (result,) = evaluator(remembered, encoded, "zero_shot")
        return float(result.metrics["top1"] or 0)

    def theirs() -> float:
        logits, target = run_classification(peer, weights, loader, device, amp=False)
        # Its own `accuracy` does not run with numpy 2.
        return float((logits.argmax(1) == target).float().mean())

    found = {"mmlab": ours(), "CLIP_benchmark": theirs()}
    apart = abs(found["mmlab"] - found["CLIP_benchmark"])
    assert apart <= TOP1_TOLERANCE[device], f"both arms must find the same: {found}"
    goal = ">= 1.0x with rankings and measures of labels too"
    sizes = {"pictures": len(data), "batch_size": batch_size, "top1": found}
    table = compare({"mmlab": ours, "CLIP_benchmark": theirs}, rounds, subject.device)
    return {"goal": goal, **sizes, **table}


def fresh(subject: EvaluatedModel) -> EvaluatedModel:
    """The subject without any features of labels."""
    return EvaluatedModel(**{**vars(subject), "remembered": Remembered()})


def compare(
    arms: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, object]:
    seconds = take_turns(arms, rounds, device)
    pairs = zip(seconds["mmlab"], seconds["CLIP_benchmark"], strict=True)
    ratios = [peer / own for own, peer in pairs]
    return {
        "seconds": {
            name: [round(value, 4) for value in values] for name, values in seconds.items()
        },
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
    }


def keep(tables: Mapping[str, object], device: torch.device) -> None:
    libraries = ("mmlab", "torch", "open_clip_torch", "clip-benchmark")
    found = {"unit": f"seconds, {clock_of(device)}; ratios peer / mmlab", **tables}
    keep_result("classifier", device, libraries, found)


if __name__ == "__main__":
    main()
