"""Contrastive training steps of mmlab beside x-clip and beside open_clip's own training loop.

    pip install --no-deps x-clip vit-pytorch einops beartype ftfy regex tokenizers
    python benchmarks/contrastive.py [--device cuda] [--rounds 15]

`x-clip`: its CLIP and the loop of its README with fused AdamW, against the vit and transformer of
mmlab-encoders at the same widths, depths, heads and lengths. `open_clip`: its `train_one_epoch`
with the optimiser and schedule of its command line, against mmlab's loop over the same towers.
Batches are random and in memory, so that loops are compared and not the reading of files. Arms
alternate; samples per second are medians over rounds, and the ratio is the median of the ratios of
neighbouring rounds.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import open_clip
import torch
from mmlab_encoders.transformer import TextTransformer
from mmlab_encoders.vit import ViT
from mmlab_fusions.inner_product import InnerProduct
from mmlab_losses.info_nce import InfoNCE
from mmlab_openclip.encoder import open_clip as open_clip_encoder
from open_clip_train.scheduler import cosine_lr
from open_clip_train.train import train_one_epoch

from mmlab.data.order import Order
from mmlab.model.device import resolve_precision
from mmlab.model.model import Model, Step
from mmlab.plugin import Batch, Shapes
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer

BATCH, STEPS, PIXELS, PATCH, LENGTH, WIDTH, DEPTH, HEADS = 32, 4, 64, 8, 32, 128, 4, 2
WORDS = 4096
GOALS = {"cpu": {"x-clip": 1.4, "open_clip": 1.0}, "cuda": {"x-clip": 1.5, "open_clip": 1.15}}
TOWERS: dict[str, Any] = {
    "embed_dim": WIDTH,
    "vision_cfg": {
        "image_size": PIXELS,
        "layers": DEPTH,
        "width": WIDTH,
        "patch_size": PATCH,
        "head_width": WIDTH // HEADS,
    },
    "text_cfg": {
        "context_length": LENGTH,
        "vocab_size": 49408,
        "width": WIDTH,
        "heads": HEADS,
        "layers": DEPTH,
    },
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
    pairs = {"x-clip": against_x_clip, "open_clip": against_open_clip}
    rows = [measure(name, make(device), device, options.rounds) for name, make in pairs.items()]
    for row in rows:
        low, ratio, high = row["ratio_quartiles"]
        print(
            f"{row['peer']:9} mmlab {row['mmlab_samples_per_second']:7.1f} samples/s   peer "
            f"{row['peer_samples_per_second']:7.1f} samples/s   ratio {ratio:.2f} "
            f"({low:.2f}-{high:.2f})   goal {row['goal']}"
        )
    write(device, rows, options.rounds)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=15)
    return parser.parse_args()


def measure(name: str, pair: Pair, device: torch.device, rounds: int) -> dict[str, Any]:
    """Rates of both arms; a first round warms up and is not counted."""
    arms = pair.arms
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for turn in range(rounds + 1):
        for arm in sorted(arms, reverse=bool(turn % 2)):
            started = now(device)
            arms[arm]()
            if turn:
                seconds[arm].append(now(device) - started)
    ratios = [peer / own for own, peer in zip(seconds["mmlab"], seconds["peer"], strict=True)]
    rates = {arm: BATCH * STEPS / statistics.median(taken) for arm, taken in seconds.items()}
    return {
        "peer": name,
        "mmlab_samples_per_second": rates["mmlab"],
        "peer_samples_per_second": rates["peer"],
        "parameters": dict(pair.parameters),
        "ratio_quartiles": statistics.quantiles(ratios, n=4),
        "goal": GOALS[device.type][name],
    }


def now(device: torch.device) -> float:
    """CPU time of the process, or the clock once the GPU is done."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def against_x_clip(device: torch.device) -> Pair:
    """One model of each library; both see raw ids and pixels."""
    from x_clip import CLIP  # an optional peer

    torch.manual_seed(0)
    peer = CLIP(
        dim_text=WIDTH,
        dim_image=WIDTH,
        dim_latent=WIDTH,
        num_text_tokens=WORDS,
        text_enc_depth=DEPTH,
        text_seq_len=LENGTH,
        text_heads=HEADS,
        visual_enc_depth=DEPTH,
        visual_image_size=PIXELS,
        visual_patch_size=PATCH,
        visual_heads=HEADS,
        visual_patch_dropout=0.0,
    ).to(device)
    optimizer = torch.optim.AdamW(peer.parameters(), lr=1e-3, fused=True)
    context: Any = SimpleNamespace(reads=frozenset({"pooled"}))
    shape: Any = {"width": WIDTH, "depth": DEPTH, "heads": HEADS}
    image = ViT(context, image_size=PIXELS, patch_size=PATCH, **shape)
    text = TextTransformer(context, vocabulary_size=WORDS, length=LENGTH, **shape)
    fusion = InnerProduct([WIDTH, WIDTH], dim=WIDTH)
    trainer = make_trainer({"image": image, "text": text}, fusion, device)
    batch = make_batch(device, WORDS)
    pixels, ids = batch.inputs["image"].float() / 255, batch.inputs["text"]

    def peer_round() -> None:
        for _ in range(STEPS):
            loss = peer(ids, pixels, return_loss=True)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return pair(trainer, batch, peer, peer_round)


def against_open_clip(device: torch.device) -> Pair:
    """The same towers in both loops, in the same precision."""
    logging.disable(logging.INFO)
    torch.manual_seed(0)
    peer = open_clip.CLIP(**TOWERS, output_dict=True).to(device)
    precision = resolve_precision("auto", device)
    settings = SimpleNamespace(
        accum_freq=1,
        batch_size=BATCH,
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
    trainer = make_trainer(open_clip_towers(), InnerProduct([WIDTH, WIDTH]), device)
    batch = make_batch(device, 49000)
    pixels, ids = (batch.inputs["image"].float() / 255 - 0.5) / 0.25, batch.inputs["text"]
    data = {"train": _Loaded([(pixels, ids)] * STEPS)}

    def peer_round() -> None:
        train_one_epoch(peer, data, loss, 0, optimizer, None, schedule, None, settings)

    return pair(trainer, batch, peer, peer_round)


class _Loaded:
    """Batches in memory, with what open_clip's loop asks of its data."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches
        self.dataloader = self
        self.num_batches, self.num_samples = len(batches), BATCH * len(batches)

    def __iter__(self) -> Any:
        return iter(self.batches)

    def set_epoch(self, epoch: int) -> None:
        """Nothing is shuffled."""


def open_clip_towers() -> dict[str, Any]:
    """mmlab's encoders over open_clip's towers, from a folder with their configuration."""
    made: dict[str, Any] = {}

    def once(key: str, make: Callable[[], Any]) -> Any:
        return made.setdefault(key, None) or made.update({key: make()}) or made[key]

    context: Any = SimpleNamespace(reads=frozenset({"pooled"}), once=once)
    with tempfile.TemporaryDirectory() as folder:
        config = {"model_cfg": TOWERS, "preprocess_cfg": {}}
        Path(folder, "open_clip_config.json").write_text(json.dumps(config))
        return {
            modality: open_clip_encoder(
                modality, context, architecture=f"local-dir:{folder}", pretrained=""
            )
            for modality in ("image", "text")
        }


def make_trainer(encoders: dict[str, Any], fusion: Any, device: torch.device) -> Trainer:
    shapes = Shapes({key: WIDTH for key in encoders}, None, (), (), False, {})
    losses: Any = {"info_nce": InfoNCE(shapes)}
    step = Step(Model(encoders, fusion, list(encoders)), losses, {"info_nce": 1.0})
    table = TrainTable(max_steps=10**6, batch_size=BATCH)
    return Trainer(step.to(device), table, Order(0, BATCH, BATCH), device)


def make_batch(device: torch.device, words: int) -> Batch:
    """Random pictures and texts without padding, which both sides would skip differently."""
    inputs = {
        "image": torch.randint(0, 256, (BATCH, 3, PIXELS, PIXELS), dtype=torch.uint8),
        "text": torch.randint(4, words, (BATCH, LENGTH)),
    }
    present = {key: torch.ones(BATCH, dtype=torch.bool) for key in inputs}
    batch = Batch(inputs, present, torch.zeros(BATCH), torch.arange(BATCH), {})
    return batch.map(lambda x: x.to(device))


def make_round(trainer: Trainer, batch: Batch) -> Round:
    """STEPS updates and one emission."""

    def play() -> None:
        for index in range(STEPS):
            trainer.update(batch, index)
        trainer.raise_if_not_finite()
        trainer.meter.take()

    return play


def pair(trainer: Trainer, batch: Batch, peer: torch.nn.Module, peer_round: Round) -> Pair:
    arms = {"mmlab": make_round(trainer, batch), "peer": peer_round}
    modules = {"mmlab": trainer.step, "peer": peer}
    sizes = {arm: sum(p.numel() for p in module.parameters()) for arm, module in modules.items()}
    return Pair(arms, sizes)


def write(device: torch.device, rows: list[dict[str, Any]], rounds: int) -> None:
    on_gpu = device.type == "cuda"
    document = {
        "benchmark": "contrastive",
        "goal": "ratio of samples per second, mmlab / peer, of at least the row's goal",
        "clock": "wall time" if on_gpu else "CPU time of the process",
        "batch_size": BATCH,
        "shape": {"width": WIDTH, "depth": DEPTH, "pixels": PIXELS, "patch": PATCH, "ids": LENGTH},
        "precision": resolve_precision("auto", device),
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "x-clip", "open_clip_torch")},
        },
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / f"contrastive-{device.type}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    main()
