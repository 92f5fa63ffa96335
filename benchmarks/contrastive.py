"""Contrastive training steps of mmlab beside x-clip and beside open_clip's own training loop.

    pip install --no-deps x-clip vit-pytorch einops beartype ftfy regex tokenizers
    python benchmarks/contrastive.py [--device cuda] [--rounds 15]

`x-clip`: its CLIP and the loop of its README with fused AdamW, against the vit and transformer of
mmlab-encoders at the same widths, depths, heads and lengths. `open_clip`: its `train_one_epoch`
with the optimiser and schedule of its command line, against mmlab's loop over the same towers.
Both arms compute in the precision of mmlab's "auto". Batches are random and in memory, so that
loops are compared and not the reading of files. On a GPU the towers are about as large as
ViT-B-32's, on a CPU tiny, unless --shape says otherwise. Arms alternate; samples per second are
medians over rounds, and the ratio is the median of the ratios of neighbouring rounds.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import open_clip
import torch
from clip_model import make_trainer, open_clip_towers, random_batch
from measuring import clock_of, device_parser, keep_result, take_turns
from mmlab_encoders.transformer import TextTransformer
from mmlab_encoders.vit import ViT
from mmlab_fusions.inner_product import InnerProduct
from open_clip_train.scheduler import cosine_lr
from open_clip_train.train import train_one_epoch

from mmlab.model.device import autocast, resolve_precision
from mmlab.plugin import Batch
from mmlab.train.loop import Trainer

WORDS, OPEN_CLIP_WORDS = 4096, 49408
GOALS = {"cpu": {"x-clip": 1.4, "open_clip": 1.0}, "cuda": {"x-clip": 1.5, "open_clip": 1.15}}


@dataclass(frozen=True)
class Shape:
    """Sizes of both towers, of a batch, and how many steps a round has."""

    batch_size: int
    steps: int
    width: int
    depth: int
    heads: int
    pixels: int
    patch: int
    ids: int

    @property
    def towers(self) -> dict[str, Any]:
        """The same in open_clip's words."""
        common = {"width": self.width, "layers": self.depth}
        vision = {"image_size": self.pixels, "patch_size": self.patch}
        text = {"context_length": self.ids, "vocab_size": OPEN_CLIP_WORDS, "heads": self.heads}
        head_width = self.width // self.heads
        return {
            "embed_dim": self.width,
            "vision_cfg": common | vision | {"head_width": head_width},
            "text_cfg": common | text,
        }


SHAPES = {
    "tiny": Shape(32, 4, width=128, depth=4, heads=2, pixels=64, patch=8, ids=32),
    "base": Shape(512, 4, width=512, depth=12, heads=8, pixels=224, patch=32, ids=77),
}

Round = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """A round of each arm, and how many parameters each trains."""

    arms: Mapping[str, Round]
    parameters: Mapping[str, int]


def main() -> None:
    options = read_options()
    device = torch.device(options.device)
    shape = SHAPES[options.shape or ("base" if device.type == "cuda" else "tiny")]
    makers = {"x-clip": against_x_clip, "open_clip": against_open_clip}
    rows = [measure(name, makers[name], shape, device, options.rounds) for name in options.peers]
    for row in rows:
        low, ratio, high = row["ratio_quartiles"]
        print(
            f"{row['peer']:9} mmlab {row['mmlab_samples_per_second']:7.1f} samples/s   peer "
            f"{row['peer_samples_per_second']:7.1f} samples/s   ratio {ratio:.2f} "
            f"({low:.2f}-{high:.2f})   goal {row['goal']}"
        )
    write(device, shape, rows, options.rounds)


def read_options() -> argparse.Namespace:
    parser = device_parser(__doc__, rounds=15)
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--peers", nargs="+", choices=GOALS["cpu"], default=list(GOALS["cpu"]))
    return parser.parse_args()


def measure(
    name: str,
    make: Callable[[Shape, torch.device], Pair],
    shape: Shape,
    device: torch.device,
    rounds: int,
) -> dict[str, Any]:
    """Rates of both arms; a first round warms up and is not counted."""
    pair = make(shape, device)
    seconds = take_turns(pair.arms, rounds, device)
    ratios = [peer / own for own, peer in zip(seconds["mmlab"], seconds["peer"], strict=True)]
    samples = shape.batch_size * shape.steps
    rates = {arm: samples / statistics.median(taken) for arm, taken in seconds.items()}
    return {
        "peer": name,
        "mmlab_samples_per_second": rates["mmlab"],
        "peer_samples_per_second": rates["peer"],
        "parameters": dict(pair.parameters),
        "ratio_quartiles": statistics.quantiles(ratios, n=4),
        "goal": GOALS[device.type][name],
    }


def against_x_clip(shape: Shape, device: torch.device) -> Pair:
    """One model of each library; both see raw ids and pixels."""
    from x_clip import CLIP  # an optional peer

    torch.manual_seed(0)
    peer = CLIP(
        dim_text=shape.width,
        dim_image=shape.width,
        dim_latent=shape.width,
        num_text_tokens=WORDS,
        text_enc_depth=shape.depth,
        text_seq_len=shape.ids,
        text_heads=shape.heads,
        visual_enc_depth=shape.depth,
        visual_image_size=shape.pixels,
        visual_patch_size=shape.patch,
        visual_heads=shape.heads,
        visual_patch_dropout=0.0,
    ).to(device)
    optimizer = torch.optim.AdamW(peer.parameters(), lr=1e-3, fused=True)
    context: Any = SimpleNamespace(reads=frozenset({"pooled"}))
    sizes: Any = {"width": shape.width, "depth": shape.depth, "heads": shape.heads}
    image = ViT(context, image_size=shape.pixels, patch_size=shape.patch, **sizes)
    text = TextTransformer(context, vocabulary_size=WORDS, length=shape.ids, **sizes)
    fusion = InnerProduct([shape.width, shape.width], dim=shape.width)
    trainer = make_trainer({"image": image, "text": text}, fusion, shape.batch_size, device)
    batch = random_batch(shape.batch_size, shape.pixels, shape.ids, WORDS, device)
    pixels, ids = batch.inputs["image"].float() / 255, batch.inputs["text"]
    precision = resolve_precision("auto", device)

    def peer_round() -> None:
        for _ in range(shape.steps):
            with autocast(device, precision):
                loss = peer(ids, pixels, return_loss=True)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return pair(make_round(trainer, batch, shape.steps), trainer, peer, peer_round)


def against_open_clip(shape: Shape, device: torch.device) -> Pair:
    """The same towers in both loops, in the same precision."""
    logging.disable(logging.INFO)
    torch.manual_seed(0)
    peer = open_clip.CLIP(**shape.towers, output_dict=True).to(device)
    precision = resolve_precision("auto", device)
    settings = SimpleNamespace(
        accum_freq=1,
        batch_size=shape.batch_size,
        device=str(device),
        distill=False,
        grad_clip_norm=1.0,
        horovod=False,
        log_every_n_steps=100,
        precision="amp_bf16" if precision == "bf16" else "fp32",
        rank=0,
        skip_scheduler=False,
        wandb=False,
        world_size=1,
    )
    decayed = [p for p in peer.parameters() if p.ndim >= 2]
    others = [p for p in peer.parameters() if p.ndim < 2]
    groups = [{"params": others, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.1}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98), eps=1e-6)
    schedule = cosine_lr(optimizer, 1e-3, 10**5, 10**6)
    loss = open_clip.ClipLoss()
    fusion = InnerProduct([shape.width, shape.width])
    towers = open_clip_towers(shape.towers)
    trainer = make_trainer(towers, fusion, shape.batch_size, device)
    batch = random_batch(shape.batch_size, shape.pixels, shape.ids, 49000, device)
    pixels, ids = (batch.inputs["image"].float() / 255 - 0.5) / 0.25, batch.inputs["text"]
    data = {"train": _Loaded([(pixels, ids)] * shape.steps, shape.batch_size)}

    def peer_round() -> None:
        train_one_epoch(peer, data, loss, 0, optimizer, None, schedule, None, settings)

    return pair(make_round(trainer, batch, shape.steps), trainer, peer, peer_round)


class _Loaded:
    """Batches in memory, with what open_clip's loop asks of its data."""

    def __init__(self, batches: list[Any], batch_size: int) -> None:
        self.batches = batches
        self.dataloader = self
        self.num_batches, self.num_samples = len(batches), batch_size * len(batches)

    def __iter__(self) -> Any:
        return iter(self.batches)

    def set_epoch(self, epoch: int) -> None:
        """Nothing is shuffled."""


def make_round(trainer: Trainer, batch: Batch, steps: int) -> Round:
    """Some updates and one emission."""

    def play() -> None:
        for index in range(steps):
            trainer.update(batch, index)
        trainer.raise_if_not_finite()
        trainer.meter.take()

    return play


def pair(ours: Round, trainer: Trainer, peer: torch.nn.Module, peer_round: Round) -> Pair:
    modules = {"mmlab": trainer.step, "peer": peer}
    sizes = {arm: sum(p.numel() for p in module.parameters()) for arm, module in modules.items()}
    return Pair({"mmlab": ours, "peer": peer_round}, sizes)


def write(device: torch.device, shape: Shape, rows: list[dict[str, Any]], rounds: int) -> None:
    found = {
        "goal": "ratio of samples per second, mmlab / peer, of at least the row's goal",
        "clock": clock_of(device),
        "shape": asdict(shape),
        "precision": resolve_precision("auto", device),
        "rounds": rounds,
        "rows": rows,
    }
    keep_result("contrastive", device, ("torch", "x-clip", "open_clip_torch"), found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    main()
