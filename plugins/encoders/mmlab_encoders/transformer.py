"""A text transformer whose vocabulary is bytes, or words learnt from the training split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, DataError, Features, SpecError, Vocabulary, explain
from mmlab_encoders.blocks import Trunk, masked_mean
from mmlab_encoders.vocabulary import MASK, PAD, START, ByteVocabulary, Ids, WordVocabulary

#: Rows of the embedding of words where the spec does not say.
WORDS = 4096


class TextTransformer(nn.Module):
    """Transformer over the ids of a text, each token attending to all others.

    int64 (B, N) -> pooled (B, width), tokens (B, N, width). `transform` gives N = length; columns
    that are padding in every row may be cut off. A text is a start token and as many of its ids as
    fit, then padding, which nothing attends to. `pool` takes the start token or the mean over the
    start token and the text. `tokens` lie beside their ids, and their mask is False at the start
    token and at padding.
    """

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
            Field(ge=8, description=f"rows of the embedding of words, {WORDS} unless given"),
        ] = None,
        length: Annotated[int, Field(ge=2, description="ids per text; longer texts are cut")] = 32,
        width: Annotated[int, Field(ge=1, description="width of a token and of the result")] = 128,
        depth: Annotated[int, Field(ge=1, description="number of blocks")] = 2,
        heads: Annotated[int, Field(ge=1, description="attention heads; they divide width")] = 4,
        pool: Annotated[
            Literal["mean", "start"], Field(description="mean over tokens, or the start token")
        ] = "mean",
    ) -> None:
        super().__init__()
        self.dim = width
        self.token_dim = width if "tokens" in context.reads else None
        self.length = length
        self.pool = pool
        self.ids = _make_vocabulary(vocabulary, vocabulary_size)
        self.embedding = TokenEmbedding(self.ids.size, length, width)
        self.trunk = Trunk(width, depth, heads)

    @property
    def preprocessing(self) -> str:
        """What happens to a text at evaluation."""
        kind = "words, NFKC, case folded" if isinstance(self.ids, WordVocabulary) else "bytes"
        return f"{kind}; {self.length} ids with the start token"

    @property
    def vocabulary(self) -> Vocabulary:
        """Sizes and reserved ids."""
        return Vocabulary(self.ids.size, PAD, MASK, frozenset({PAD, MASK, START}))

    def fit(self, raws: Sequence[object]) -> None:
        """Learn the words of every training caption."""
        self.ids.fit([_text(raw) for raw in raws])

    def transform(self, raw: object, train: bool) -> Tensor:
        """One text -> its ids, int64 (length,)."""
        ids = [START, *self.ids.encode(_text(raw))][: self.length]
        return torch.tensor(ids + [PAD] * (self.length - len(ids)))

    def forward(self, x: Tensor) -> Features:
        """Features of ids (B, N), N up to length."""
        is_text = x != PAD
        is_attended = is_text.clone()
        is_attended[:, 0] = True  # so that text without any token gives numbers, not NaN
        tokens = self.trunk(self.embedding(x), is_attended)
        pooled = tokens[:, 0] if self.pool == "start" else masked_mean(tokens, is_attended)
        if not self.token_dim:
            return Features.of(pooled)
        return Features.of(pooled, tokens, is_text & (x != START))

    def stages(self) -> Sequence[nn.Module]:
        """Token embedding, the blocks, the last norm."""
        return [self.embedding, *self.trunk.stages()]


class TokenEmbedding(nn.Module):
    """Ids as tokens with their learnt positions: (B, N) -> (B, N, width), N up to length."""

    def __init__(self, size: int, length: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size, width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Ids in, tokens out."""
        tokens: Tensor = self.tokens(x)
        return tokens + self.position[: x.shape[1]]


def _make_vocabulary(kind: str, size: int | None) -> Ids:
    if kind == "words":
        return WordVocabulary(WORDS if size is None else size)
    if size is None:
        return ByteVocabulary()
    raise SpecError(
        explain(
            "vocabulary_size",
            "the size of this vocabulary is fixed",
            found=f'{size} with vocabulary = "{kind}"',
            allowed=f"{ByteVocabulary.size} ids, whatever the data",
            next_step='leave `vocabulary_size` out, or set vocabulary = "words"',
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
