"""How one training step is computed: in how many parts, by how many processes, compiled or not.

None of it changes what is computed: the gradients are those of the whole batch in one process.
"""

from __future__ import annotations

import torch

from mmlab.encoding import Chunked, forget_activations, require_rows_apart
from mmlab.gathering import Gathered
from mmlab.group import Group
from mmlab.model import Step
from mmlab.parallel import Forward, replicate, spread
from mmlab.plugin import Encode
from mmlab.spec import TrainTable


def arrange(step: Step, table: TrainTable, group: Group, device: torch.device) -> Forward:
    """What to call with a batch in place of the step, which is on its device and in train mode.

    Raises SpecError where a batch is to be divided and an encoder mixes its samples.
    """
    encode: Encode = step.model.encode
    encoders = dict(step.model.encoders.items())
    if table.checkpoint_activations:
        require_rows_apart(encoders, "train.checkpoint_activations")
    if table.microbatch is not None:
        require_rows_apart(encoders, "train.microbatch")
        encode = Chunked(encode, table.microbatch)
    step.encode = step.encode_own = encode
    if group.size > 1:
        require_rows_apart(encoders, "torchrun")
        gathered = Gathered(encode, step.model, group)
        step.encode, step.encode_own, step.whole = gathered, gathered.own, gathered.batch
    for encoder in encoders.values():
        if table.checkpoint_activations and any(p.requires_grad for p in encoder.parameters()):
            forget_activations(encoder)
        if table.compile:
            encoder.compile()  # what was compiled for one cell serves the next
    if group.size == 1:
        return step
    if table.parallel == "ddp":
        return replicate(step, device)
    return spread(step, group, device)
