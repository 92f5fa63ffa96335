"""Small cells around each component that mmlab and its own plugins offer, by kind and name."""

from __future__ import annotations

from collections.abc import Mapping

from mmlab.plan.registry import BUILTINS, Registry

#: Six samples of every modality, with labels and targets: the plugin `support.starts` has them.
DATA = '[dataset]\nuse = "everything"\n'
PICTURES = 'use = "vit"\nimage_size = 16\npatch_size = 8\nwidth = 8\ndepth = 1\nheads = 2\n'
TEXTS = 'use = "transformer"\nwidth = 8\ndepth = 1\nheads = 2\nlength = 6\n'
PAIR = {"image": PICTURES, "text": TEXTS}
LABELS = '[[losses]]\nuse = "cross_entropy"\n'
LINEAR = '[head]\nuse = "linear"\n'
CONCAT = '[fusion]\nuse = "concat"\ndim = 8\n'
#: Losses that need no head, and one that has a start of its own.
CONTRASTIVE = '[[losses]]\nuse = "info_nce"\n[[losses]]\nuse = "simclr"\nencoder = "image"\n'

SMALL_VIT = "{ patch_size = 8, dim = 16, depth = 1, heads = 2, mlp_dim = 16 }"
#: Every encoder at the smallest size, with the modality it reads.
ENCODERS: Mapping[str, tuple[str, str]] = {
    "audio_convnet": ("audio", "width = 8\nlevels = 1\n"),
    "audio_transformer": ("audio", "width = 8\ndepth = 1\nheads = 2\n"),
    "convnet": ("image", "image_size = 16\nwidth = 8\nlevels = 1\n"),
    "open_clip": ("text", 'architecture = "ViT-S-32-alt"\npretrained = ""\n'),
    "tabular": ("tabular", "width = 8\ndepth = 1\nheads = 2\ncolumns = 4\ncategories = 9\n"),
    "timm": ("image", 'architecture = "test_resnet"\n'),
    "transformer": ("text", 'width = 8\ndepth = 1\nheads = 2\nvocabulary = "words"\n'),
    "video": ("video", 'image_size = 16\nwidth = 8\nframes = 2\npool = "attention"\n'),
    "vit": ("image", 'image_size = 16\nwidth = 8\ndepth = 1\nheads = 2\npool = "class"\n'),
    "vit_pytorch": ("image", f'model = "vit"\ndim = 8\nimage_size = 32\narguments = {SMALL_VIT}\n'),
}
#: They have no random start: all they hold is read from files.
READ_FROM_FILES = {"sentence"}
#: Made in a test of the plugin's own, at a size that its library does not have.
ELSEWHERE = {"open_clip"}

#: Fusions that must be told something, or that another table has to agree with.
FUSIONS: Mapping[str, tuple[str, str]] = {"late_fusion": ("", '[head]\nuse = "identity"\n')}
#: They score pairs and give no vector.
SIMILARITIES = ("directional_projections", "late_interaction")

#: What a loss must be told, or is told to be small.
LOSSES: Mapping[str, str] = {
    "captioning": 'image = "image"\ntext = "text"\nwidth = 8\nheads = 2\n',
    "distillation": 'teachers = ["image", "text"]\n',
    "masked_language_modelling": 'encoder = "text"\n',
    "simclr": 'encoder = "image"\n',
    "simsiam": 'encoder = "image"\n',
}


#: Every generator at the smallest size, with what it makes.
GENERATORS: Mapping[str, tuple[str, str]] = {
    "dit": ("video", "size = 8\nframes = 2\ndim = 8\ndepth = 1\nheads = 2\n"),
    "unet": ("image", "size = 8\nwidth = 8\nlevels = 2\n"),
}


def around_generator(name: str) -> tuple[str, ...]:
    """The tables of a generator, of a fusion of all inputs, and of the loss that trains it."""
    target, options = GENERATORS[name]
    table = f'[generator]\nuse = "{name}"\ntarget = "{target}"\n{options}'
    fusion = '[fusion]\nuse = "concat"\ndim = 8\nmodality_dropout = 0.3\n'
    return fusion, table, '[[losses]]\nuse = "generation"\n'


def first_party(kind: str) -> set[str]:
    """Names of what mmlab and its own plugins offer of a kind."""
    entries = Registry.discover(BUILTINS).entries(kind)
    return {e.name for e in entries if e.distribution.startswith("mmlab")}


def around_fusion(name: str) -> tuple[str, ...]:
    """The tables of a fusion, its head, and losses."""
    options, head = FUSIONS.get(name, ("", LINEAR))
    fusion = f'[fusion]\nuse = "{name}"\n{options}'
    return (fusion, CONTRASTIVE) if name in SIMILARITIES else (fusion, head, LABELS, CONTRASTIVE)


def around_loss(name: str) -> tuple[str, ...]:
    """The tables of a loss, and of a fusion that gives both a vector and a similarity."""
    if name == "generation":
        return around_generator("unet")
    fusion = '[fusion]\nuse = "inner_product"\ndim = 8\n'
    return fusion, LINEAR, f'[[losses]]\nuse = "{name}"\n{LOSSES.get(name, "")}'


def data_for(name: str) -> str:
    """The dataset that a loss reads: several labels a sample where it is about them."""
    return DATA + ("multi = true\n" if name == "binary_cross_entropy" else "")


def encoder_tables(encoders: Mapping[str, str]) -> tuple[str, ...]:
    """Tables of encoders by their keys."""
    return tuple(f"[encoders.{key}]\n{text}" for key, text in encoders.items())
