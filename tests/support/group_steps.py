"""What each of two processes runs: a few training steps in every mode, on its part of a batch.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=... python -m support.group_steps FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from mmlab.data.order import Order
from mmlab.model.device import gather
from mmlab.plugin import Batch
from mmlab.spec import Component, TrainTable
from mmlab.train.loop import Trainer
from mmlab.train.parallel import gather_state
from mmlab.train.processes import ProcessGroup, open_group
from support.rules import OPTIMIZERS, rule
from support.token_steps import ROWS, make_batch, make_step

STEPS = 3

#: Settings of [train] by the name of a mode.
MODES: Mapping[str, Mapping[str, object]] = {
    "ddp": {},
    "ddp in chunks": {"microbatch": 2},
    "fsdp": {"parallel": "fsdp"},
    "fsdp in chunks": {"parallel": "fsdp", "microbatch": 2},
    "fsdp with an average": {"parallel": "fsdp", "ema": 0.9},
    **{f"ddp by {name}": {"optimizer": Component(use=name)} for name in OPTIMIZERS},
    "fsdp by sgd": {"parallel": "fsdp", "optimizer": Component(use="sgd")},
}


def train(group: ProcessGroup, settings: Mapping[str, object]) -> dict[str, Tensor]:
    """Losses, the first step's gradients and the last step's weights, in float64."""
    step = make_step()
    table = TrainTable(max_steps=STEPS, batch_size=ROWS, lr=0.01, **settings)  # type: ignore[arg-type]
    order = Order(0, ROWS, ROWS, rank=group.rank, ranks=group.size)
    trainer = Trainer(step, table, order, torch.device("cpu"), group, rule(table.optimizer.use))
    batch = part(make_batch(step), group)
    found = dict(gradients(trainer, batch))
    for index in range(STEPS):
        trainer.update(batch, index)
    found |= {f"mean {name}": torch.tensor(x) for name, x in trainer.meter.take().items()}
    return found | {name: x.clone() for name, x in gather_state(step).items()}


def part(batch: Batch, group: ProcessGroup) -> Batch:
    """This process' rows."""
    share = ROWS // group.size
    return batch.map(lambda x: x[group.rank * share : (group.rank + 1) * share])


def gradients(trainer: Trainer, batch: Batch) -> Iterator[tuple[str, Tensor]]:
    """Every gradient of one step as the optimiser would see it; then they are forgotten."""
    trainer.differentiate(batch, 0)
    for name, p in trainer.step.named_parameters():
        assert p.grad is not None, name
        yield f"gradient of {name}", gather(p.grad).clone()
    trainer.optimizer.zero_grad()


if __name__ == "__main__":
    torch.set_num_threads(1)
    with open_group(60.0) as group:
        for mode, settings in MODES.items():
            found = train(group, settings)
            if group.is_main:
                save_file(found, Path(sys.argv[1], f"{mode}.safetensors"))
