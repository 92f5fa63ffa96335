"""Tiny models of each architecture, weights by a formula, against numbers of transformers."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_towers.architectures import ARCHITECTURES
from mmlab_towers.sentence import Sentence
from mmlab_towers.sentence_folder import Pool
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from mmlab.model.components import BuildContext
from mmlab.plugin import SpecError, WeightsError
from mmlab.testing import check_encoder

#: transformers 5.24: mean over a text's tokens, and its first token, per text and architecture.
#: `test_the_recorded_numbers_are_those_of_transformers` repeats them.
RECORDED = Path(__file__).with_name("architectures.json")
KINDS = ["bert", "distilbert", "mpnet", "roberta", "xlm-roberta"]
WORDS = ["a", "photo", "of", "two", "cats", "dogs"]
# The second reaches distances that share a bucket; the others are padded to its length.
TEXTS = ["a photo of two cats", " ".join(WORDS * 6), "dogs", ""]
WIDTH, INNER, HEADS, LAYERS, POSITIONS = 12, 20, 3, 2, 48
BERT_LAYER = {
    "attention.self.query": (WIDTH, WIDTH),
    "attention.self.key": (WIDTH, WIDTH),
    "attention.self.value": (WIDTH, WIDTH),
    "attention.output.dense": (WIDTH, WIDTH),
    "attention.output.LayerNorm": (WIDTH,),
    "intermediate.dense": (INNER, WIDTH),
    "output.dense": (WIDTH, INNER),
    "output.LayerNorm": (WIDTH,),
}
MPNET_LAYER = {
    **{f"attention.attn.{name}": (WIDTH, WIDTH) for name in "qkvo"},
    "attention.LayerNorm": (WIDTH,),
    **{name: shape for name, shape in BERT_LAYER.items() if not name.startswith("attention")},
}
DISTILBERT_LAYER = {
    **{f"attention.{name}_lin": (WIDTH, WIDTH) for name in ("q", "k", "v", "out")},
    "sa_layer_norm": (WIDTH,),
    "ffn.lin1": (INNER, WIDTH),
    "ffn.lin2": (WIDTH, INNER),
    "output_layer_norm": (WIDTH,),
}
LAYER_OF = {"mpnet": MPNET_LAYER, "distilbert": DISTILBERT_LAYER}


def specials(kind: str) -> list[str]:
    """Special tokens in the order of their ids; the padding's decides where positions start."""
    if kind in ("bert", "distilbert"):
        return ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    return ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def config(kind: str) -> dict[str, Any]:
    """config.json as transformers writes it."""
    shared = {"model_type": kind, "vocab_size": 11, "max_position_embeddings": POSITIONS}
    shared["pad_token_id"] = 0 if "[PAD]" in specials(kind) else 1
    if kind == "distilbert":
        sizes = {"dim": WIDTH, "hidden_dim": INNER, "n_heads": HEADS, "n_layers": LAYERS}
        return shared | sizes | {"activation": "gelu"}
    shared |= {"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS}
    shared |= {"num_attention_heads": HEADS, "hidden_act": "gelu", "layer_norm_eps": 1e-5}
    if kind == "mpnet":
        return shared | {"relative_attention_num_buckets": 32}
    return shared | {"type_vocab_size": 2 if kind == "bert" else 1}


def shapes(kind: str) -> dict[str, tuple[int, ...]]:
    """The tensors of transformers' model, its pooler included."""
    found: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (11, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
    }
    if kind == "mpnet":
        found["encoder.relative_attention_bias.weight"] = (32, HEADS)
    elif kind != "distilbert":
        found["embeddings.token_type_embeddings.weight"] = (2 if kind == "bert" else 1, WIDTH)
    pairs: dict[str, tuple[int, ...]] = {"embeddings.LayerNorm": (WIDTH,)}
    if kind != "distilbert":
        pairs["pooler.dense"] = (WIDTH, WIDTH)
    layers = "transformer.layer" if kind == "distilbert" else "encoder.layer"
    for number in range(LAYERS):
        parts = LAYER_OF.get(kind, BERT_LAYER).items()
        pairs |= {f"{layers}.{number}.{part}": shape for part, shape in parts}
    for name, shape in pairs.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def tensors(kind: str) -> dict[str, Tensor]:
    """Weights in [-1.5, 1.5] by a formula, so that they are the same on every machine."""
    return {
        name: (torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float64) * (7 + k))
        .square()
        .remainder(1009)
        .div(336)
        .sub(1.5)
        .float()
        .reshape(shape)
        for k, (name, shape) in enumerate(sorted(shapes(kind).items()))
    }


def tokenizer(kind: str) -> Tokenizer:
    words = specials(kind) + WORDS
    made = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[3]))
    made.pre_tokenizer = WhitespaceSplit()
    made.add_special_tokens(words[:5])
    start, end = ("[CLS]", "[SEP]") if "[CLS]" in words else ("<s>", "</s>")
    ids = [(name, words.index(name)) for name in (start, end)]
    made.post_processor = TemplateProcessing(single=f"{start} $A {end}", special_tokens=ids)
    return made


def write(folder: Path, kind: str, prefix: str = "", modules: tuple[str, ...] = ()) -> Path:
    """A folder as sentence-transformers writes it, with the named modules after the pooling."""
    (folder / "1_Pooling").mkdir(parents=True)
    tokenizer(kind).save(str(folder / "tokenizer.json"))
    named = {prefix + name: x for name, x in tensors(kind).items()}
    save_file(named, folder / "model.safetensors", {"format": "pt"})
    kinds = ["Transformer", "Pooling", *modules]
    paths = ["", *(f"{i}_{name}" for i, name in enumerate(kinds[1:], 1))]
    listed = [
        {"idx": i, "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (path, name) in enumerate(zip(paths, kinds, strict=True))
    ]
    (folder / "config.json").write_text(json.dumps(config(kind)))
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


def pooled(encoder: Any, texts: list[str]) -> Tensor:
    with torch.no_grad():
        ids = torch.stack([encoder.transform(text, False) for text in texts])
        found: Tensor = encoder.eval()(ids).pooled
    return found


def recorded(kind: str, pool: str) -> Tensor:
    return torch.tensor(json.loads(RECORDED.read_text())[kind][pool])


def test_every_architecture_is_tried() -> None:
    assert sorted(ARCHITECTURES) == KINDS


@pytest.mark.parametrize("pool", ["mean", "class"])
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_transformers(
    kind: str, pool: Pool, tmp_path: Path, context: BuildContext
) -> None:
    encoder = Sentence(context, folder=write(tmp_path / "tiny", kind), pool=pool)
    found = pooled(encoder, TEXTS)
    torch.testing.assert_close(found, recorded(kind, pool), rtol=0, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_recorded_numbers_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="compares with transformers where it is installed")
    for pool, expected in transformers_numbers(write(tmp_path / "tiny", kind)).items():
        torch.testing.assert_close(recorded(kind, pool), expected, rtol=0, atol=2e-5)


def transformers_numbers(folder: Path) -> dict[str, Tensor]:
    """Mean and first token of the texts, in one padded batch, by transformers."""
    transformers = importlib.import_module("transformers")
    padded = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pad = json.loads((folder / "config.json").read_text())["pad_token_id"]
    padded.enable_padding(pad_id=pad)
    batch = padded.encode_batch(TEXTS)
    ids = torch.tensor([text.ids for text in batch])
    mask = torch.tensor([text.attention_mask for text in batch])
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        tokens = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weight = mask.unsqueeze(-1)
    return {"mean": (tokens * weight).sum(1) / weight.sum(1), "class": tokens[:, 0]}


@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_keeps_the_contract(kind: str, tmp_path: Path) -> None:
    check_encoder(Sentence, modality="text", folder=write(tmp_path / "tiny", kind))


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind: str, tmp_path: Path, context: BuildContext) -> None:
    encoder = Sentence(context, folder=write(tmp_path / "tiny", kind)).eval()
    alone = torch.cat([pooled(encoder, [text]) for text in TEXTS])
    torch.testing.assert_close(pooled(encoder, TEXTS), alone, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", ["distilbert", "mpnet", "roberta"])
def test_a_model_with_heads_keeps_its_encoder(
    kind: str, tmp_path: Path, context: BuildContext
) -> None:
    encoder = Sentence(context, folder=write(tmp_path / "tiny", kind, prefix=f"{kind}."))
    found = pooled(encoder, TEXTS)
    torch.testing.assert_close(found, recorded(kind, "mean"), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("kind", "most"), [("distilbert", 48), ("mpnet", 46), ("roberta", 46)])
def test_positions_after_the_padding_id_leave_fewer(
    kind: str, most: int, tmp_path: Path, context: BuildContext
) -> None:
    folder = write(tmp_path / "tiny", kind)
    assert Sentence(context, folder=folder).length == most
    with pytest.raises(SpecError, match=f"4 to {most}"):
        Sentence(context, folder=folder, length=most + 1)


def test_the_bias_by_distance_is_frozen_with_the_embeddings(
    tmp_path: Path, context: BuildContext
) -> None:
    encoder = Sentence(context, folder=write(tmp_path / "tiny", "mpnet"))
    staged = {id(x) for stage in encoder.stages() for x in stage.parameters()}
    assert staged == {id(x) for x in encoder.parameters()}


@pytest.mark.parametrize("modules", [(), ("Normalize",)])
def test_the_modules_say_whether_vectors_are_normalised(
    modules: tuple[str, ...], tmp_path: Path, context: BuildContext
) -> None:
    encoder = Sentence(context, folder=write(tmp_path / "tiny", "roberta", modules=modules))
    expected = recorded("roberta", "mean")
    expected = F.normalize(expected, dim=-1) if modules else expected
    torch.testing.assert_close(pooled(encoder, TEXTS), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("said", "pool"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "class"),
        ({"pooling_mode": "cls"}, "class"),
        ({"pooling_mode": "mean", "embedding_dimension": 12}, "mean"),
    ],
)
def test_the_folder_says_how_tokens_are_pooled(
    said: dict[str, Any], pool: str, tmp_path: Path, context: BuildContext
) -> None:
    folder = write(tmp_path / "tiny", "mpnet")
    (folder / "1_Pooling/config.json").write_text(json.dumps(said))
    assert Sentence(context, folder=folder).pool == pool


@pytest.mark.parametrize("mode", ["max", ["mean", "cls"]])
def test_another_way_to_pool_is_refused(mode: Any, tmp_path: Path, context: BuildContext) -> None:
    folder = write(tmp_path / "tiny", "mpnet")
    (folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode": mode}))
    with pytest.raises(WeightsError, match="1_Pooling"):
        Sentence(context, folder=folder)


def test_a_module_that_would_be_left_out_is_refused(tmp_path: Path, context: BuildContext) -> None:
    with pytest.raises(WeightsError, match=r"modules\.json: Dense"):
        Sentence(context, folder=write(tmp_path / "tiny", "distilbert", modules=("Dense",)))


def test_an_unknown_architecture_names_those_that_are_read(
    tmp_path: Path, context: BuildContext
) -> None:
    folder = write(tmp_path / "tiny", "bert")
    (folder / "config.json").write_text(json.dumps(config("bert") | {"model_type": "t5"}))
    with pytest.raises(WeightsError, match=f"model_type t5, none of {', '.join(KINDS)}"):
        Sentence(context, folder=folder)


def test_tensors_of_another_architecture_are_refused(tmp_path: Path, context: BuildContext) -> None:
    folder = write(tmp_path / "tiny", "roberta")
    save_file(tensors("mpnet"), folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"missing embeddings\.segments"):
        Sentence(context, folder=folder)
