"""What each of two processes computes: every loss and all gradients, on its part of a batch.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=... python -m support.group_losses FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from mmlab.data.order import Order
from mmlab.plugin import Batch
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer
from mmlab.train.processes import ProcessGroup, open_group
from support.loss_models import LOSSES, ROWS, make_batch, make_loss, make_step


def compute(group: ProcessGroup, name: str) -> dict[str, Tensor]:
    """One loss's scalars and every parameter's gradient, in float64."""
    step = make_step({name: make_loss(name)}).double()
    table = TrainTable(max_steps=1, batch_size=ROWS)
    order = Order(0, ROWS, ROWS, rank=group.rank, ranks=group.size)
    trainer = Trainer(step, table, order, torch.device("cpu"), group)
    batch = make_batch(is_multi_label=name == "binary_cross_entropy", dtype=torch.float64)
    scalars = trainer.differentiate(own_part(batch, group), 0)
    gradients = {n: p.grad.clone() for n, p in step.named_parameters() if p.grad is not None}
    return {**{f"scalar {name}": x.clone() for name, x in scalars.items()}, **gradients}


def own_part(batch: Batch, group: ProcessGroup) -> Batch:
    """This process' rows; views have another axis before them."""
    share = ROWS // group.size
    rows = slice(group.rank * share, (group.rank + 1) * share)
    views = {key: x[:, rows] for key, x in batch.views.items()}
    assert batch.targets is not None
    return Batch(
        {key: x[rows] for key, x in batch.inputs.items()},
        {key: x[rows] for key, x in batch.present.items()},
        batch.target[rows],
        batch.index[rows],
        views,
        batch.targets[rows],
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    with open_group(60.0) as group:
        for name in LOSSES:
            found = compute(group, name)
            if group.is_main:
                save_file(found, Path(sys.argv[1], f"{name}.safetensors"))
