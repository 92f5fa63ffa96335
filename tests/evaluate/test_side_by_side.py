"""The same numbers as CLIP_benchmark and open_clip, on one model and the same pictures.

A random open_clip model of a fixed seed looks at drawn pictures, in float32, here and there. Where
the peers' own evaluation works, it runs whole: CLIP_benchmark's multi-label classification and
retrieval. Elsewhere their inner functions are called:

- their `accuracy` makes a float of an array with one element, which numpy 2.4 refuses; so the
  logits are theirs, and the k largest are counted here;
- open_clip's retrieval metric is called with the features, without the training run around it.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from mmlab_datasets.published.catalogue import describe
from PIL import Image
from safetensors.torch import save_file
from support.evaluated import Cosine, Words, encoded, letters, subject
from torch import Tensor
from torch.utils.data import DataLoader

from mmlab.cli import main
from mmlab.evaluate.evaluators.retrieval import Retrieval
from mmlab.evaluate.prompts import write_prompts
from mmlab.plugin import Features, Scores
from mmlab.store import open_store

clip_benchmark = pytest.importorskip("clip_benchmark")
zeroshot_classification = pytest.importorskip("clip_benchmark.metrics.zeroshot_classification")
zeroshot_retrieval = pytest.importorskip("clip_benchmark.metrics.zeroshot_retrieval")
train = pytest.importorskip("open_clip_train.train")

CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
LABELS = ("crab", "owl", "elk", "ant", "bee", "yak", "fox", "hen", "cow", "pig", "dog", "cat")
TEMPLATES = ("a photo of a {}.", "a drawing of the {}, a type of animal.", "{}")
CURLY = [template.replace("{}", "{c}") for template in TEMPLATES]
COUNT = 97
CLASSES = [number * 7 % 12 for number in range(COUNT)]
#: Recalls and accuracies are shares of equal ranks; average precisions are summed in float32 there.
CLOSE = 1e-6


#: What the library calls test sets of which it has a list of names; those of others come with data.
THERE = {
    "caltech101": "caltech101",
    "eurosat": "eurosat",
    "flowers102": "flowers",
    "imagenet": "imagenet1k",
    "mnist": "mnist",
    "pets": "pets",
}


@pytest.mark.parametrize("name", THERE)
def test_prompts_of_a_published_test_set_are_clip_benchmarks_to_the_letter(name: str) -> None:
    described, there = describe(name), Path(clip_benchmark.__file__).parent / "datasets"
    names = json.loads((there / "en_classnames.json").read_text())[THERE[name]]
    templates = json.loads((there / "en_zeroshot_classification_templates.json").read_text())
    called = [described.prompt_names.get(label, label) for label in described.labels]
    own = [template.format(c=one) for one in names for template in templates[THERE[name]]]
    assert write_prompts(called, described.templates) == own
    assert set(described.prompt_names) <= set(described.labels)
    assert len(set(described.labels)) == len(described.labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that open_clip wrote, pictures, and an index of them with labels and captions."""
    folder = tmp_path_factory.mktemp("side by side")
    text = json.dumps({"model_cfg": CLIP, "preprocess_cfg": {}})
    (folder / "open_clip_config.json").write_text(text)
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    generator = np.random.default_rng(0)
    rows = [draw(folder, generator, number) for number in range(COUNT)]
    pl.DataFrame(rows).write_ndjson(folder / "index.jsonl")
    return folder


def draw(folder: Path, generator: np.random.Generator, number: int) -> dict[str, Any]:
    """A picture of soft blobs, and what the index says of it; every label occurs."""
    coarse = generator.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    size = tuple(generator.integers(30, 70, 2).tolist())
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    seen = [label for label in range(len(LABELS)) if generator.random() < 0.2]
    captions = [f"{LABELS[number % 12]} number {number} {word}" for word in ("a", "b", "c")]
    return {
        "file": f"{number}.png",
        "label": LABELS[CLASSES[number]],
        "labels": [LABELS[label] for label in seen],
        "captions": captions[: 1 + number % 3],
        "caption": captions[0],
        "split": "test",
    }


@pytest.fixture(scope="module")
def model(folder: Path) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
    """The peers' model, its transform and tokenizer."""
    name = f"local-dir:{folder}"
    model, _, transform = open_clip.create_model_and_transforms(name)
    return model.eval(), transform, open_clip.get_tokenizer(name)


def ours(folder: Path, *columns: str, evaluate: str = "zero_shot") -> list[Mapping[str, Any]]:
    """Metrics of `mmlab run`, one mapping for each of the evaluation's results."""
    tower = f'use = "open_clip"\narchitecture = "local-dir:{folder}"\n'
    spec = folder / "spec.toml"
    spec.write_text(
        'schema_version = 1\nname = "side"\n\n[dataset]\nuse = "manifest"\npath = "index.jsonl"\n'
        'image_column = "file"\nsplit_column = "split"\n'
        f"label_names = {json.dumps(LABELS)}\ntemplates = {json.dumps(TEMPLATES)}\n"
        + "".join(f"{column}\n" for column in columns)
        + f"\n[encoders.image]\n{tower}\n[encoders.text]\n{tower}"
        f'\n[fusion]\nuse = "inner_product"\n\n[[evaluate]]\nuse = "{evaluate}"\n'
    )
    db = folder / f"{evaluate}-{abs(hash(columns))}.db"
    done = CliRunner().invoke(main, ["run", str(spec), "--db", str(db), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    with open_store(str(db)) as store:
        return [e.metrics for e in store.run_detail(store.find_run("@last").run_id).evaluations]


class Pictures:
    """What CLIP_benchmark calls a dataset: pairs, and the names of the classes."""

    def __init__(self, folder: Path, transform: Callable[..., Any], targets: Sequence[Any]) -> None:
        self.folder, self.transform, self.targets = folder, transform, targets
        self.classes = list(LABELS)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        with Image.open(self.folder / f"{index}.png") as picture:
            return self.transform(picture), self.targets[index]


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No bars of progress."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def loader(folder: Path, model: Any, targets: Sequence[Any]) -> Any:
    return DataLoader(Pictures(folder, model[1], targets), batch_size=16)  # type: ignore[arg-type]


def share_within(logits: Tensor, targets: Tensor, k: int) -> float:
    """The share of samples whose class is among the k of the largest logits."""
    hits = logits.topk(k, dim=1).indices == targets[:, None]
    return float(hits.any(1).double().mean())


def test_top1_top5_and_recall_of_classes_are_those_of_clip_benchmark(
    folder: Path, model: Any
) -> None:
    network, _, tokenizer = model
    pairs = loader(folder, model, CLASSES)
    with silence():
        classifier = zeroshot_classification.zero_shot_classifier(
            network, tokenizer, list(LABELS), CURLY, "cpu", amp=False
        )
        logits, targets = zeroshot_classification.run_classification(
            network, classifier, pairs, "cpu", amp=False
        )
    (found,) = ours(folder, 'label_column = "label"')
    top1, top5 = (share_within(logits, targets, k) for k in (1, 5))
    assert 0 < top1 < top5 < 1  # all or nothing would prove little
    assert found["top1"] == pytest.approx(top1, abs=CLOSE)
    assert found["top5"] == pytest.approx(top5, abs=CLOSE)
    recall = zeroshot_classification.balanced_accuracy_score(targets, logits.argmax(1))
    assert found["mean_per_class_recall"] == pytest.approx(recall, abs=CLOSE)


def test_average_precision_is_that_of_clip_benchmark(folder: Path, model: Any) -> None:
    network, _, tokenizer = model
    rows = pl.read_ndjson(folder / "index.jsonl")["labels"].to_list()
    targets = [torch.tensor([label in labels for label in LABELS]).long() for labels in rows]
    with silence():
        wanted = zeroshot_classification.evaluate(
            network,
            loader(folder, model, targets),
            tokenizer,
            list(LABELS),
            CURLY,
            device="cpu",
            amp=False,
        )
    (found,) = ours(folder, 'label_column = "labels"')
    assert any(not labels for labels in rows)  # known to have none: a negative there and here
    assert found["mAP"] == pytest.approx(wanted["mean_average_precision"], abs=CLOSE)


def test_recalls_of_retrieval_are_those_of_clip_benchmark(folder: Path, model: Any) -> None:
    network, transform, tokenizer = model
    captions = pl.read_ndjson(folder / "index.jsonl")["captions"].to_list()
    pictures = Pictures(folder, transform, captions)
    loader = DataLoader(
        pictures,  # type: ignore[arg-type]
        batch_size=16,
        collate_fn=lambda pairs: (torch.stack([x for x, _ in pairs]), [t for _, t in pairs]),
    )
    with silence():
        wanted = zeroshot_retrieval.evaluate(
            network, loader, tokenizer, device="cpu", amp=False, recall_k_list=[1, 5, 10]
        )
    texts, images = ours(folder, 'text_columns = ["captions"]', evaluate="retrieval")
    for k in (1, 5, 10):
        for side, found in (("text", texts), ("image", images)):
            share = wanted[f"{side}_retrieval_recall@{k}"]
            assert found[f"recall@{k}"] == pytest.approx(share, abs=CLOSE)
    assert 0 < wanted["image_retrieval_recall@10"] < 1


class Dot(Cosine):
    """Whole scores, so that captions which repeat tie exactly."""

    def project(self, position: int, features: Features) -> Features:
        return features

    def score(self, u: Features, v: Features) -> Scores:
        scores = u.pooled @ v.pooled.T
        return Scores(scores, scores)


def test_recalls_of_captions_that_repeat_are_those_of_clip_benchmark() -> None:
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice([*"abcde"], 9)) for _ in range(40)]
    captions = [(words[place % 20], *generator.choice(words, place % 3)) for place in range(40)]
    rows = [
        {"image": letters(word), "text": texts} for word, texts in zip(words, captions, strict=True)
    ]
    what = subject(Dot())
    both = Retrieval(repeated_captions="own")(what, encoded(what, Words(rows, [()] * 40)), "own")
    owners = torch.tensor([place for place, texts in enumerate(captions) for _ in texts])
    written = torch.tensor([letters(text) for texts in captions for text in texts]).double()
    scores = torch.tensor([letters(word) for word in words]).double() @ written.T
    positive = torch.arange(40)[:, None] == owners
    for found, asked, hits in zip(both, (scores, scores.T), (positive, positive.T), strict=True):
        ordered = asked - 1e-4 * torch.arange(asked.shape[1])  # equal scores go by position here
        for k in (1, 5, 10):
            wanted = zeroshot_retrieval.recall_at_k(ordered, hits, k) > 0
            share = float(wanted.double().mean())
            assert found.metrics[f"recall@{k}"] == pytest.approx(share, abs=CLOSE)
            assert 0 < share < 1


def test_top1_and_top5_are_those_of_open_clip(folder: Path, model: Any) -> None:
    network, _, tokenizer = model
    forms = [template.replace("{}", "{0}").format for template in TEMPLATES]
    with torch.no_grad():
        classifier = open_clip.build_zero_shot_classifier(network, tokenizer, list(LABELS), forms)
        pairs = [(network(image=x)[0], y) for x, y in loader(folder, model, CLASSES)]
    logits = torch.cat([100.0 * features @ classifier for features, _ in pairs])
    targets = torch.cat([y for _, y in pairs])
    (found,) = ours(folder, 'label_column = "label"')
    for k in (1, 5):
        wanted = share_within(logits, targets, k)
        assert found[f"top{k}"] == pytest.approx(wanted, abs=CLOSE)


def test_paired_retrieval_is_that_of_open_clips_training(folder: Path, model: Any) -> None:
    network, transform, tokenizer = model
    captions = pl.read_ndjson(folder / "index.jsonl")["caption"].to_list()
    pictures = [x for x, _ in (Pictures(folder, transform, captions)[i] for i in range(COUNT))]
    with torch.no_grad():
        images = network.encode_image(torch.stack(pictures), normalize=True)
        texts = network.encode_text(tokenizer(captions), normalize=True)
    wanted = train.get_clip_metrics(images, texts, network.logit_scale.exp())
    both = ours(folder, 'text_columns = ["caption"]', evaluate="retrieval")
    for name, found in zip(("image_to_text", "text_to_image"), both, strict=True):
        for k in (1, 5, 10):
            assert found[f"recall@{k}"] == pytest.approx(wanted[f"{name}_R@{k}"], abs=CLOSE)
        assert found["median_rank"] == wanted[f"{name}_median_rank"]
