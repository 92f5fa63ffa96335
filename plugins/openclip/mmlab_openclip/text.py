"""The text tower: the model's own tokenizer, and prompts cut short where that is exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from mmlab.plugin import Calibration, DataError, Features, Vocabulary, WeightsError, explain
from mmlab_openclip.source import Recipe
from mmlab_openclip.stages import stages_of
from mmlab_openclip.temperature import Temperature


class TextTower(nn.Module):
    """An open_clip model's text tower: token ids (B, N) -> what `encode_text` gives.

    N is the model's context length. Where `trims_text` holds, columns that are padding in every row
    may be cut off first: a causal tower that pools the end token never looks at them. Tokens are
    those of the last layer, before the projection, and only given where something reads them; their
    mask is False at the special ids (start, end, padding).
    """

    augments = False
    special: Tensor

    def __init__(
        self, tower: nn.Module, recipe: Recipe, temperature: Temperature, reads_tokens: bool
    ) -> None:
        super().__init__()
        self.tower = tower
        self.temperature = temperature
        self._tokenize = _tokenizer(recipe.architecture)
        self.length: int = cast(Any, self._tokenize).context_length
        self.vocabulary = _vocabulary(self._tokenize, tower)
        special = torch.tensor(sorted(self.vocabulary.special))
        self.register_buffer("special", special, persistent=False)
        self.trims_text = _ignores_padding(tower, self.vocabulary)
        self.dim: int = recipe.config["embed_dim"]
        self.token_dim = _token_width(tower) if reads_tokens else None
        self.weights_description = recipe.description
        self.preprocessing = _describe(self._tokenize, is_random=recipe.weights is None)
        if hasattr(tower, "output_tokens"):
            cast(Any, tower).output_tokens = reads_tokens

    def transform(self, raw: object, train: bool) -> Tensor:
        """Text -> int64 token ids (context length,), padded or cut by the model's own tokenizer."""
        return self._ids(raw, self.length)

    def count_ids(self, raw: object) -> int:
        """Ids of a whole text, in as long an input as it needs."""
        pad, room = self.vocabulary.pad, 4 * self.length
        ids, before = self._ids(raw, room), -1
        while int(ids[-1]) != pad and (count := int((ids != pad).sum())) != before:
            room, before = 4 * room, count
            ids = self._ids(raw, room)
        return int((ids != pad).sum())

    def _ids(self, raw: object, length: int) -> Tensor:
        if not isinstance(raw, str):
            raise DataError(_no_text(raw))
        return self._tokenize(raw, length)[0]

    def forward(self, x: Tensor) -> Features:
        """Encode token ids (B, N)."""
        encoded = _encode_causally(self.tower, x) if self.trims_text else self.tower(x)
        pooled, tokens = encoded if isinstance(encoded, tuple) else (encoded, None)
        if self.token_dim is None or tokens is None:
            return Features.of(pooled)
        ids = x[:, x.shape[1] - tokens.shape[1] :]  # some towers keep their class token back
        return Features.of(pooled, tokens, ~torch.isin(ids, self.special))

    def calibration(self) -> Calibration:
        """The model's own scale and bias; meaningless for random weights or after training."""
        return self.temperature.calibration()

    def stages(self) -> Sequence[nn.Module]:
        """Modules from input to output."""
        return stages_of(self.tower)


def _encode_causally(tower: nn.Module, ids: Tensor) -> tuple[Tensor, Tensor]:
    """What open_clip's TextTransformer does, for ids of any length up to its context.

    Its own forward adds a mask of the full length, which refuses shorter input (open_clip 3.3).
    Gives pooled (B, dim) and tokens (B, N, width).
    """
    own = cast(Any, tower)  # Any: open_clip's modules declare no types
    length = ids.shape[1]
    x = own.token_embedding(ids) + own.positional_embedding[:length]
    x = own.ln_final(own.transformer(x, attn_mask=own.attn_mask[:length, :length]))
    end = ids.argmax(dim=-1) if own.pool_type == "argmax" else (ids == own.eos_id).int().argmax(-1)
    pooled = x[torch.arange(x.shape[0], device=x.device), end]  # (B, width)
    if own.text_projection is not None:
        linear = isinstance(own.text_projection, nn.Linear)
        pooled = own.text_projection(pooled) if linear else pooled @ own.text_projection
    return pooled, x


def _ignores_padding(tower: nn.Module, vocabulary: Vocabulary) -> bool:
    """Whether nothing after a row's end token can reach its pooled features."""
    own = cast(Any, tower)  # Any: as above
    if getattr(own, "attn_mask", None) is None or own.cls_emb is not None or own.use_pad_mask:
        return False
    if own.pool_type == "argmax":  # the end token has the highest id, and padding the lowest
        return vocabulary.pad == 0 and vocabulary.size - 1 in vocabulary.special
    return bool(own.pool_type == "eos" and own.eos_id != vocabulary.pad)


def _tokenizer(architecture: str) -> Callable[[str, int], Tensor]:
    import open_clip

    try:
        return cast(Callable[[str, int], Tensor], open_clip.get_tokenizer(architecture))
    except (ImportError, OSError, ValueError) as error:
        raise WeightsError(
            explain(
                f"open_clip.architecture {architecture}",
                "the model's tokenizer cannot be made",
                found=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
                allowed="the package transformers, and the tokenizer's files cached or a network",
                next_step="pip install 'mmlab-openclip[transformers]', and run once where there is "
                "a network",
            )
        ) from error


def _vocabulary(tokenizer: Any, tower: nn.Module) -> Vocabulary:
    """Sizes and reserved ids; a tokenizer without one for masking lends its unknown token's."""
    size = int(cast(Any, tower).vocab_size)
    own = getattr(tokenizer, "tokenizer", None)  # transformers' tokenizer inside open_clip's
    if own is None:
        start, end = tokenizer.sot_token_id, tokenizer.eot_token_id
        mask = tokenizer.encoder[tokenizer.byte_encoder[0xFF]]  # a byte that no UTF-8 text holds
        return Vocabulary(size, 0, mask, frozenset({0, mask, start, end}))
    special = frozenset(own.all_special_ids)
    mask = own.unk_token_id if own.mask_token_id is None else own.mask_token_id
    return Vocabulary(size, own.pad_token_id, mask, special | {mask})


def _token_width(tower: nn.Module) -> int:
    own = cast(Any, tower)  # Any: as above
    if hasattr(own, "width"):
        return int(own.width)
    from open_clip.hf_configs import arch_dict

    names = arch_dict[own.config.model_type]["config_names"]
    return int(getattr(own.config, names["width"]))


def _describe(tokenizer: Any, *, is_random: bool) -> str:
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    text = f"open_clip {type(inner).__name__} of {tokenizer.context_length} tokens"
    return f"RANDOM WEIGHTS, {text}" if is_random else text


def _no_text(raw: object) -> str:
    return explain(
        "open_clip",
        "a sample's text cannot be encoded",
        found=f"a value of type {type(raw).__name__}",
        allowed="a str",
        next_step="let the dataset give text under this modality, or choose another encoder",
    )
