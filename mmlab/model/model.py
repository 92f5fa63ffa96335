"""The model of a spec: encoders -> fusion -> head, and the score of every pair of two inputs.

What components give is checked on shapes alone, so that no device is waited for. In training,
modality dropout counts some inputs of a sample as absent, so that any may lack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from mmlab.errors import PluginError, explain
from mmlab.model.components import TELL, Watch, given_tensors
from mmlab.plugin import (
    GENERATED,
    Batch,
    Encode,
    Encoder,
    Features,
    Fusion,
    Generation,
    Loss,
    Outputs,
    Scores,
    SimilarityFusion,
    VectorFusion,
)

#: Elements of the largest temporary when a vector fusion scores all pairs (A x B x dim).
PAIR_ELEMENTS = 1 << 24


class Model(nn.Module):
    """Encoders by key, one fusion over `inputs` (encoder keys in order), and an optional head.

    `scorer` maps a vector fusion's result to one score, so that every fusion can rank pairs; it is
    None where nothing asks for a similarity, or the fusion gives one itself. `frozen` names the
    encoders that are never trained: they run in eval mode and without gradient, whoever calls them.
    `frozen_stages` are modules inside other encoders that are not trained and stay in eval mode.
    `generator` makes samples of a modality under the condition of the inputs.
    Without a head the fused vector is made only where `gives_fused` says that something reads it.
    `modality_dropout` is how often, in training, an input counts as absent for the fusion.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: nn.Module,
        inputs: Sequence[str],
        *,
        head: nn.Module | None = None,
        scorer: nn.Module | None = None,
        frozen: frozenset[str] = frozenset(),
        frozen_stages: Sequence[nn.Module] = (),
        gives_fused: bool = False,
        modality_dropout: float = 0.0,
        generator: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.head = head
        self.scorer = scorer
        self.generator = generator
        self.inputs = tuple(inputs)
        # A check against a protocol takes longer than many a kernel: once, not at every step.
        self._scores_pairs = isinstance(fusion, SimilarityFusion)
        self._fuses = isinstance(fusion, VectorFusion) and (head is not None or gives_fused)
        self._dims = {key: cast(Encoder, encoder).dim for key, encoder in encoders.items()}
        self.modality_dropout = modality_dropout
        self.frozen = frozen
        self._frozen_modules = (*(self.encoders[key] for key in sorted(frozen)), *frozen_stages)
        for module in self._frozen_modules:
            module.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Model:
        """Switch the mode of everything but what is frozen, which stays in eval mode."""
        super().train(mode)
        for module in self._frozen_modules:
            module.eval()
        return self

    def encode(self, key: str, x: Tensor, present: Tensor | None = None) -> Features:
        """Features of one encoder; samples are present unless `present` (B,) says otherwise."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and key not in self.frozen):
            features = cast(Features, self.encoders[key](x))
        return features if present is None else replace(features, present=present)

    def forward(self, batch: Batch, encode: Encode | None = None) -> Outputs:
        """Encode every input of a batch and join them; `encode` replaces the plain way to do so."""
        features = {}
        for key, present in batch.present.items():
            if key == GENERATED:
                continue
            encoded = batch.features.get(key)
            if encoded is None:
                encoded = (encode or self.encode)(key, batch.inputs[key])
            check_width(f"encoders.{key}", encoded.pooled, len(present), self._dims[key])
            features[key] = replace(encoded, present=present)
        return self.outputs(features)

    def outputs(self, features: Mapping[str, Features]) -> Outputs:
        """Join encoded features: the head's prediction (B, C), and the similarity of all pairs."""
        present = self._present(features)
        projected = [
            self.project(key, replace(features[key], present=there))
            for key, there in zip(self.inputs, present, strict=True)
        ]
        fused = self._fused(projected)
        prediction = None if self.head is None or fused is None else self.head(fused)
        similarity = PairSimilarity(self, *projected) if len(projected) == 2 else None
        seen = [features[key] for key in self.inputs]
        return Outputs(
            features, fused, prediction, similarity, self._generation(seen, present, fused)
        )

    def project(self, key: str, features: Features) -> Features:
        """The fusion's part that depends on one input alone."""
        fusion = cast(Fusion, self.fusion)
        return fusion.project(self.inputs.index(key), features)

    def pair_scores(
        self, row_key: str, rows: Features, column_key: str, columns: Features
    ) -> Tensor:
        """Scores of A projected rows over B projected columns, (A, B), as a row's question.

        The two keys are the fusion's inputs in either order.
        """
        if (row_key, column_key) == self.inputs:
            return self.score(rows, columns).forward
        return self.score(columns, rows).backward.T

    def score(self, u: Features, v: Features) -> Scores:
        """Scores of A projected rows of input 0 with B projected columns of input 1."""
        if self._scores_pairs:
            return cast(SimilarityFusion, self.fusion).score(u, v)
        scores = self._score_by_fusing(u, v)
        return Scores(scores, scores)

    def _present(self, features: Mapping[str, Features]) -> list[Tensor]:
        """Which inputs of each sample the fusion sees."""
        present = [features[key].present for key in self.inputs]
        if self.training and self.modality_dropout:
            return drop_modalities(present, self.modality_dropout)
        return present

    def _fused(self, projected: Sequence[Features]) -> Tensor | None:
        if not self._fuses:
            return None
        fusion = cast(VectorFusion, self.fusion)
        fused = fusion.fuse(*projected)
        check_width("fusion", fused, len(projected[0].pooled), fusion.dim)
        return fused

    def _generation(
        self, inputs: Sequence[Features], present: Sequence[Tensor], fused: Tensor | None
    ) -> Generation | None:
        """The generator under the condition of a batch, whose inputs are there as the fusion saw.

        In training the whole condition is left out as often as an input is: `modality_dropout`.
        """
        if self.generator is None:
            return None
        from mmlab.model.generation import ModelGeneration, make_condition  # few models generate

        seen = [replace(f, present=there) for f, there in zip(inputs, present, strict=True)]
        dropout = self.modality_dropout if self.training else 0.0
        condition = make_condition(seen, fused, dropout)
        return ModelGeneration(self.generator, condition, is_training=self.training)

    def _score_by_fusing(self, u: Features, v: Features) -> Tensor:
        """Fuse every pair and map it to one score, as many rows at a time as memory allows."""
        assert self.scorer is not None, "built without a scorer: nothing declared to read it"
        fusion = cast(VectorFusion, self.fusion)
        columns = _with_axis(v, 0)
        row_elements = v.pooled.shape[0] * _pair_elements(u, v, fusion.dim)
        chunk = max(1, PAIR_ELEMENTS // max(1, row_elements))
        blocks = [
            self.scorer(fusion.fuse(_with_axis(_rows(u, i, i + chunk), 1), columns)).squeeze(-1)
            for i in range(0, u.pooled.shape[0], chunk)
        ]
        return torch.cat(blocks)  # (A, B)


class PairSimilarity:
    """The scores of all pairs of a batch, computed when a loss asks for them."""

    def __init__(self, model: Model, u: Features, v: Features) -> None:
        self.u = u
        self.v = v
        self._model = model

    @property
    def size(self) -> int:
        """Number of pairs B."""
        return self.u.pooled.shape[0]

    @property
    def present(self) -> Tensor:
        """(B,) bool: the pairs of which both sides are there."""
        return self.u.present & self.v.present

    @property
    def sides(self) -> dict[str, Features]:
        """The projected features of both inputs."""
        return dict(zip(self._model.inputs, (self.u, self.v), strict=True))

    def of(self, features: Mapping[str, Features]) -> PairSimilarity:
        """The same similarity of other features of the two encoders."""
        u, v = (self._model.project(key, features[key]) for key in self._model.inputs)
        return PairSimilarity(self._model, u, v)

    def dense(self) -> Scores:
        """All B x B scores at once."""
        return self._model.score(self.u, self.v)

    def block(self, start: int, stop: int) -> Scores:
        """Scores of rows start to stop with all columns."""
        return self._model.score(_rows(self.u, start, stop), self.v)


class Step(nn.Module):
    """Everything trainable in one module, so that a parallel wrapper sees every parameter.

    A call gives the weighted total to minimise, and every named scalar without gradient. `encode`
    is the losses' way to features, `encode_own` that of the main pass, and `gather` gives the batch
    that losses see: training replaces all three where a batch is divided.
    """

    def __init__(
        self, model: Model, losses: Mapping[str, nn.Module], weights: Mapping[str, float]
    ) -> None:
        super().__init__()
        self.model = model
        self.encode: Encode = model.encode
        self.encode_own: Encode = model.encode
        self.gather: Callable[[Batch], Batch] = _same
        self.losses = nn.ModuleDict(losses)
        self.weights = dict(weights)

    @property
    def views(self) -> int:
        """How many further augmented views of each input the losses ask for."""
        return max((cast(Loss, loss).views for loss in self.losses.values()), default=0)

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """One pass: (total, scalars). Scalars are "loss", the total, and "NAME/SCALAR" of losses.

        Of a single loss there is no "NAME/loss": the total already says it.
        """
        whole = self.gather(batch)
        own = batch if whole is batch else replace(whole, inputs=batch.inputs)
        watch = Watch(given_tensors(own))
        outputs = self.model(own, self.encode_own)
        watch.require_unchanged("an encoder or the fusion")
        watch = Watch(given_tensors(whole, outputs))
        terms: list[Tensor] = []
        scalars: dict[str, Tensor] = {}
        for name, module in self.losses.items():
            values = cast(Loss, module)(outputs, whole, self.encode)
            watch.require_unchanged(f"losses.{name}")
            check_loss(name, values)
            weight, loss = self.weights[name], _at_least_float32(values["loss"])
            terms.append(loss if weight == 1 else weight * loss)
            shown = [key for key in values if key != "loss" or len(self.losses) > 1]
            scalars |= {f"{name}/{key}": _at_least_float32(values[key].detach()) for key in shown}
        total = sum(terms[1:], terms[0])
        return total, {"loss": total.detach(), **scalars}


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _same(batch: Batch) -> Batch:
    return batch


def _pair_elements(u: Features, v: Features, dim: int) -> int:
    """Elements that one pair takes: a vector, or the MLPs of a transformer for all its tokens."""
    tokens = [f.tokens.shape[-2] for f in (u, v) if f.tokens is not None]
    return 4 * dim * sum(tokens) if tokens else dim


def _rows(features: Features, start: int, stop: int) -> Features:
    return features.map(lambda x: x[start:stop])


def _with_axis(features: Features, axis: int) -> Features:
    return features.map(lambda x: x.unsqueeze(axis))


def check_width(who: str, given: Tensor, rows: int, width: int) -> None:
    """Raise PluginError unless a component gave (rows, width), the width it declares as `dim`."""
    if given.shape == (rows, width):
        return
    allowed = f"({rows}, {width}): as many rows as samples, and the declared `dim`"
    raise _breach(who, "gives another shape than it declares", tuple(given.shape), allowed)


def check_loss(name: str, values: Mapping[str, Tensor]) -> None:
    """Raise PluginError unless a loss gave numbers by name, "loss" among them."""
    wrong = {key: tuple(value.shape) for key, value in values.items() if value.ndim}
    if wrong or "loss" not in values:
        found = wrong or ", ".join(values) or "nothing"
        allowed = 'numbers (tensors without axes) by name, one of them "loss"'
        raise _breach(f"losses.{name}", "does not give what a loss gives", found, allowed)


def _breach(who: str, fault: str, found: object, allowed: str) -> PluginError:
    return PluginError(explain(who, fault, found=found, allowed=allowed, next_step=TELL))


def drop_modalities(present: Sequence[Tensor], probability: float) -> list[Tensor]:
    """Which inputs of each sample are left: as `present`, M tensors (B,) bool, one for each input.

    Each input gets a number from the ambient generator, and is dropped where that is below
    `probability`, unless it is the largest among those of the sample's present inputs: one of them
    always stays, and which is even chance. An input of M is so dropped with probability
    p - p^M / M. One input alone is never dropped.

    Source: ModDrop, Neverova et al., arXiv:1501.00102, section 4.2, where each input is dropped on
    its own and all may be; the features are not scaled up, because fusions see who is absent.
    """
    there = torch.stack(list(present), dim=-1)  # (B, M)
    drawn = torch.rand(there.shape, device=there.device).masked_fill(~there, -1)
    stays = (drawn >= probability) | (drawn == drawn.amax(dim=-1, keepdim=True))
    return list((there & stays).unbind(dim=-1))
