"""A text transformer whose vocabulary is bytes, or words learnt from the training split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, DataError, Features, Size, SpecError, Vocabulary, explain
from mmlab_encoders.blocks import Trunk, masked_mean
from mmlab_encoders.vocabulary import MASK, PAD, START, ByteVocabulary, Ids, WordVocabulary

#: Rows of the embedding of words where the spec does not say.
WORDS = 4096


class TextTransformer(nn.Module):
    """Transformer over the ids of a text, each token attending to all others.

    int64 (B, N) -> pooled (B, width), tokens (B, N, width). `transform` gives N = length; columns
    that are padding in every row may be cut off. A text is a start token and as many of its ids as
    fit, then padding, which nothing attends to. `pool` takes the start token, the mean over the
    start token and the text, or an end token, which texts then have. `tokens` lie beside their
    ids, and their mask is False at the start, the end and at padding.

    With `causal` a token attends to itself and those before it, as in CLIP (Radford et al.,
    arXiv:2103.00020, section 2.4). With `rotary` positions, attention turns queries and keys by
    their places (RoFormer, Su et al., arXiv:2104.09864) and nothing is added to tokens. Raises
    SpecError for a causal start token, which reads nothing but itself, and for an end token in a
    `length` that leaves no place for text.
    """

    numerics = 2
    augments, trims_text = False, True

    def __init__(
        self,
        context: Context,
        *,
        vocabulary: Annotated[
            Literal["words", "bytes"], Field(description="what an id stands for")
        ] = "words",
        vocabulary_size: Annotated[
            int | None,
            Field(
                ge=8, le=10**7, description=f"rows of the embedding of words, {WORDS} unless given"
            ),
        ] = None,
        length: Annotated[
            int, Field(ge=2, le=10**6, description="ids per text; longer texts are cut")
        ] = 32,
        width: Annotated[Size, Field(description="width of a token and of the result")] = 128,
        depth: Annotated[Size, Field(description="number of blocks")] = 2,
        heads: Annotated[Size, Field(description="attention heads; they divide width")] = 4,
        pool: Annotated[
            Literal["mean", "start", "end"],
            Field(description="mean over tokens, the start token, or an end token"),
        ] = "mean",
        positions: Annotated[
            Literal["learnt", "rotary"],
            Field(description="added to tokens and learnt, or rotary: turns of queries and keys"),
        ] = "learnt",
        causal: Annotated[
            bool, Field(description="let a token attend to itself and those before it alone")
        ] = False,
    ) -> None:
        super().__init__()
        if causal and pool == "start":
            raise _blind_start()
        if pool == "end" and length < 3:
            raise _no_place(length)
        self.dim = width
        self.token_dim = width if "tokens" in context.reads else None
        self.length = length
        self.pool, self.causal = pool, causal
        self.ids = _make_vocabulary(vocabulary, vocabulary_size, has_end=pool == "end")
        rotary = positions == "rotary"
        self.embedding = TokenEmbedding(self.ids.size, None if rotary else length, width)
        self.trunk = Trunk(width, depth, heads, causal=causal, rotary=rotary)

    @property
    def preprocessing(self) -> str:
        """What happens to a text at evaluation."""
        kind = (
            "words by UAX #29, NFKC, case folded"
            if isinstance(self.ids, WordVocabulary)
            else "bytes"
        )
        tokens = "the start token" if self.ids.end is None else "the start and the end token"
        return f"{kind}; {self.length} ids with {tokens}"

    @property
    def vocabulary(self) -> Vocabulary:
        """Sizes and reserved ids."""
        return Vocabulary(self.ids.size, PAD, MASK, frozenset({PAD, MASK, START, *self._end}))

    def fit(self, raws: Sequence[object]) -> None:
        """Learn the words of every training caption."""
        self.ids.fit([_text(raw) for raw in raws])

    def transform(self, raw: object, train: bool) -> Tensor:
        """One text -> its ids, int64 (length,)."""
        ids = [START, *self.ids.encode(_text(raw))][: self.length - len(self._end)] + self._end
        return torch.tensor(ids + [PAD] * (self.length - len(ids)))

    def count_ids(self, raw: object) -> int:
        """Ids of a whole text, its start and its end included."""
        return 1 + len(self.ids.encode(_text(raw))) + len(self._end)

    def forward(self, x: Tensor) -> Features:
        """Features of ids (B, N), N up to length."""
        is_text = x != PAD
        is_attended = is_text.clone()
        is_attended[:, 0] = True  # so that text without any token gives numbers, not NaN
        # padding comes last: where tokens attend to earlier ones alone, none sees it
        tokens = self.trunk(self.embedding(x), None if self.causal else is_attended)
        pooled = self._pool(tokens, x, is_attended)
        if not self.token_dim:
            return Features.of(pooled)
        for special in (START, *self._end):
            is_text = is_text & (x != special)
        return Features.of(pooled, tokens, is_text)

    def _pool(self, tokens: Tensor, x: Tensor, is_attended: Tensor) -> Tensor:
        if self.pool == "mean":
            return masked_mean(tokens, is_attended)
        if self.pool == "start":
            return tokens[:, 0]
        end = x.eq(self._end[0]).int().argmax(1)  # 0 for text without any token
        return tokens[torch.arange(len(x), device=x.device), end]

    @property
    def _end(self) -> list[int]:
        """The ids that end each text: one or none."""
        return [] if self.ids.end is None else [self.ids.end]

    def stages(self) -> Sequence[nn.Module]:
        """Token embedding, the blocks, the last norm."""
        return [self.embedding, *self.trunk.stages()]


class TokenEmbedding(nn.Module):
    """Ids as tokens: (B, N) -> (B, N, width). With a length, N up to it, positions are added."""

    def __init__(self, size: int, length: int | None, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size, width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.position = None if length is None else nn.Parameter(torch.randn(length, width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Ids in, tokens out."""
        tokens: Tensor = self.tokens(x)
        return tokens if self.position is None else tokens + self.position[: x.shape[1]]


def _make_vocabulary(kind: str, size: int | None, *, has_end: bool) -> Ids:
    if kind == "words":
        return WordVocabulary(WORDS if size is None else size, has_end)
    if size is None:
        return ByteVocabulary(has_end)
    raise SpecError(
        explain(
            "vocabulary_size",
            "the size of this vocabulary is fixed",
            found=f'{size} with vocabulary = "{kind}"',
            allowed=f"{ByteVocabulary(has_end).size} ids, whatever the data",
            next_step='leave `vocabulary_size` out, or set vocabulary = "words"',
        )
    )


def _blind_start() -> SpecError:
    return SpecError(
        explain(
            "pool",
            "the start token of causal attention reads nothing but itself",
            found='pool = "start" with causal = true',
            allowed='pool = "end", which reads the whole text, or "mean"',
            next_step="change `pool`, or leave `causal` out",
        )
    )


def _no_place(length: int) -> SpecError:
    return SpecError(
        explain(
            "length",
            "the start and the end token leave no place for text",
            found=f'length = {length} with pool = "end"',
            allowed='3 ids or more; 2 with pool = "mean" or "start"',
            next_step="raise `length`, or change `pool`",
        )
    )


def _text(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    raise DataError(
        explain(
            "text encoder",
            "a raw value is no text",
            found=type(raw).__name__,
            allowed="str",
            next_step="let this encoder read a modality of texts (encoders.KEY.modality)",
        )
    )
