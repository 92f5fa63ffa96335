"""The hashes: what makes another run, what only another evaluation, and what changes nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
from support.lab import CLASSIFICATION, ENCODERS, PAIRED, RETRIEVAL, TOY, ZERO_SHOT, Lab

from mmlab.data.splits import Splits
from mmlab.hashing import digest
from mmlab.plan.content import hashed
from mmlab.plan.plan import Plan
from mmlab.plan.resolve import plan_specs
from mmlab.plugin import Added
from mmlab.runner.identity import Hashes, describe_evaluations, hash_cell
from mmlab.runner.initial_weights import WeightsFinder


def hashes(lab: Lab, tables: tuple[str, ...] = TOY, *overrides: str) -> Hashes:
    """The hashes of a spec of one cell."""
    (plan,) = plan_specs([lab.write("toy", tables)], overrides)
    return _hash(lab, plan)


def _hash(lab: Lab, plan: Plan) -> Hashes:
    with lab.store() as store:
        sources = WeightsFinder(store, lab.runs).find(plan)
    return hash_cell(plan, Splits().revisions(plan), sources)


@pytest.mark.parametrize(
    "setting",
    [
        "train.emit_every=7",
        "train.workers=2",
        "dataset.strict_splits=true",
        'meta.author="someone"',
        "evaluate.0.k=3",
        "evaluate.0.part_size=3",
        'evaluate.0.split="validation"',
        "encoders.image.dim=8",
    ],
)
def test_settings_that_cannot_change_the_weights_change_no_hash(
    sqlite_lab: Lab, setting: str
) -> None:
    tables = (*PAIRED[:5], ZERO_SHOT)
    assert hashes(sqlite_lab, tables, setting) == hashes(sqlite_lab, tables)


@pytest.mark.parametrize(
    "setting",
    [
        "train.lr=0.02",
        "train.epochs=3",
        "train.evaluate_every=2",
        "encoders.image.dim=9",
        'encoders.image.modality="text"',
        "encoders.image.freeze=true",
        "encoders.image.freeze=1",
        "encoders.image.lr_scale=0.5",
        "fusion.dim=9",
        "fusion.modality_dropout=0.1",
        'fusion.inputs=["text", "image"]',
        "dataset.count=30",
        "losses.0.weight=0.5",
        'losses.0.name="other"',
        'name="copy"',
    ],
)
def test_settings_that_can_change_the_weights_change_both_hashes(
    sqlite_lab: Lab, setting: str
) -> None:
    before, after = hashes(sqlite_lab), hashes(sqlite_lab, TOY, setting)
    assert before.train != after.train
    assert before.group != after.group


def test_the_order_of_encoders_is_in_the_hash(sqlite_lab: Lab) -> None:
    """They are made in this order, from one stream of random numbers."""
    fusion = TOY[2].replace("dim = 8", 'dim = 8\ninputs = ["image", "text"]')
    image, text = ENCODERS.split("\n\n")
    tables = (TOY[0], ENCODERS, fusion, *TOY[3:])
    swapped = (TOY[0], f"{text}\n{image}\n", *tables[2:])
    assert hashes(sqlite_lab, tables) != hashes(sqlite_lab, swapped)


def test_the_order_of_losses_is_in_the_hash(sqlite_lab: Lab) -> None:
    """Probabilities come from the temperature of the first."""
    cold, warm = (f'{PAIRED[3]}name = "at_{t * 10:.0f}"\ntemperature = {t}\n' for t in (0.1, 0.5))
    one, other = ((*PAIRED[:3], both, *PAIRED[4:]) for both in (cold + warm, warm + cold))
    assert hashes(sqlite_lab, one) != hashes(sqlite_lab, other)


def test_a_seed_changes_the_train_hash_alone(sqlite_lab: Lab) -> None:
    before, after = hashes(sqlite_lab), hashes(sqlite_lab, (*TOY, "[sweep]\nseeds = [7]\n"))
    assert before.train != after.train
    assert before.group == after.group


def test_the_folder_of_a_spec_is_in_no_hash(sqlite_lab: Lab) -> None:
    weights = 'weights = { file = "weights.safetensors" }\n'
    found = []
    detail = sqlite_lab.run_one(sqlite_lab.write("source"))
    data = (sqlite_lab.runs / detail.artifacts[0].path).read_bytes()
    for name in ("here", "there"):
        folder = sqlite_lab.folder / name
        folder.mkdir()
        (folder / "weights.safetensors").write_bytes(data)
        text = sqlite_lab.write("toy", (TOY[0], ENCODERS + weights, *TOY[2:])).read_text()
        (folder / "toy.toml").write_text(text)
        (plan,) = plan_specs([folder / "toy.toml"], ())
        found.append(_hash(sqlite_lab, plan))
    assert found[0] == found[1]


def test_the_data_that_training_reads_is_in_the_hash(sqlite_lab: Lab) -> None:
    edition = sqlite_lab.folder / "edition"
    setting = f'dataset.script="{edition}"'
    found = []
    for text in ("1", "1", "2"):
        edition.write_text(text)
        found.append(hashes(sqlite_lab, TOY, setting))
    assert found[0] == found[1] != found[2]


def test_the_evaluation_that_chooses_the_best_weights_is_in_the_hash(sqlite_lab: Lab) -> None:
    best = 'train.best="zero_shot/top1"'
    plain = hashes(sqlite_lab, PAIRED, best)
    other = hashes(sqlite_lab, PAIRED, best, 'evaluate.0.templates=["{}"]')
    assert plain != other
    assert plain == hashes(sqlite_lab, (*PAIRED, RETRIEVAL), best)
    assert plain == hashes(sqlite_lab, PAIRED, best, 'evaluate.0.split="validation"')


def test_which_encoder_of_a_file_is_taken_is_in_the_hash(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("source"))
    key = "encoders.image.weights"
    one = hashes(sqlite_lab, TOY, f'{key}={{ run = "source" }}')
    assert one == hashes(sqlite_lab, TOY, f'{key}={{ run = "source", encoder = "image" }}')
    assert one != hashes(sqlite_lab, TOY, f'{key}={{ run = "source", encoder = "text" }}')
    assert one != hashes(sqlite_lab)


def test_an_evaluation_has_its_options_split_and_data_in_its_hash(sqlite_lab: Lab) -> None:
    def found(*overrides: str) -> str:
        (plan,) = plan_specs([sqlite_lab.write("pairs", PAIRED)], overrides)
        described = describe_evaluations(plan, "train hash", Splits())
        return digest(hashed(described["zero_shot"]))

    plain = found()
    assert plain == found("train.lr=0.5")
    settings = ("evaluate.0.k=3", 'evaluate.0.split="train"', "dataset.count=30")
    assert len({plain, *(found(setting) for setting in settings)}) == 4


def test_an_evaluation_is_identified_by_the_same_rules(sqlite_lab: Lab) -> None:
    """Neither another version of mmlab nor a neutral option counts; its protocol's version does."""

    class Before:
        version = 1

    class Later:
        version = 1

        def __init__(self, *, temper: Annotated[float, Added(0)] = 0.0) -> None: ...

    class Another(Later):
        version = 2

    (plan,) = plan_specs([sqlite_lab.write("pairs", PAIRED)], ())
    given = plan.evaluators["zero_shot"]

    def found(factory: type, package: str = "0.1.0", **options: object) -> str:
        entry = replace(given.entry, version=package)
        asked = replace(given, entry=entry, factory=factory, options=options)
        changed = replace(plan, evaluators={"zero_shot": asked})
        return digest(hashed(describe_evaluations(changed, "hash", Splits())["zero_shot"]))

    assert found(Before) == found(Before, "0.2.0") == found(Later, temper=0.0)
    assert len({found(Later, temper=t) for t in (0.0, 0.5)} | {found(Another, temper=0.0)}) == 3


PLUGIN = """
from mmlab.plugin import hookimpl

@hookimpl
def mmlab_encoders():
    return {"acme": "acme_toys.encoder:Encoder"}

@hookimpl
def mmlab_datasets():
    return {"acme": "acme_toys.encoder:Clusters"}
"""
ENCODER = '''
from support.toys import Clusters, Toy


class Encoder(Toy):
    """A toy."""
'''


@pytest.fixture
def editable(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An editable installation of an encoder; gives the encoder's file."""
    site = sqlite_lab.folder / "editable"
    (site / "acme_toys").mkdir(parents=True)
    (site / "acme_toys" / "__init__.py").write_text(PLUGIN)
    (site / "acme_toys" / "encoder.py").write_text(ENCODER)
    record = site / "acme_toys-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-toys\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[mmlab]\nacme = acme_toys\n")
    origin = {"url": f"file://{site}", "dir_info": {"editable": True}}
    (record / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(str(site))
    yield site / "acme_toys" / "encoder.py"
    for name in [name for name in sys.modules if name.startswith("acme_toys")]:
        del sys.modules[name]


def test_an_edited_plugin_runs_again(sqlite_lab: Lab, editable: Path) -> None:
    spec = sqlite_lab.write("toy", (TOY[0], ENCODERS.replace('"toy"', '"acme"'), *TOY[2:]))
    first = sqlite_lab.run_one(spec)
    assert sqlite_lab.statuses(spec) == ["skipped"]
    editable.write_text(ENCODER + "    # edited\n")
    assert sqlite_lab.statuses(spec) == ["done"]
    again = sqlite_lab.detail("toy")
    origins = [detail.provenance["plugins"]["acme-toys"] for detail in (first, again)]
    assert [origin["version"] for origin in origins] == ["1.0", "1.0"]
    assert origins[0]["source"] != origins[1]["source"]


def test_a_replaced_dataset_of_an_evaluation_evaluates_again(sqlite_lab: Lab) -> None:
    edition = sqlite_lab.folder / "edition"
    edition.write_text("1")
    dataset = f'[evaluate.dataset]\nuse = "clusters"\nscript = "{edition}"\n'
    spec = sqlite_lab.write("toy", TOY, CLASSIFICATION + 'name = "other"\n' + dataset)
    assert sqlite_lab.statuses(spec) == ["done"]
    edition.write_text("2")
    assert sqlite_lab.statuses(spec) == ["evaluated"]
    revisions = [e.dataset_revision for e in sqlite_lab.detail("toy").evaluations]
    assert [revision.split("-")[1] for revision in revisions] == ["1", "1", "2"]


def test_an_edited_dataset_of_an_evaluation_evaluates_again(
    sqlite_lab: Lab, editable: Path
) -> None:
    own = CLASSIFICATION + '[evaluate.dataset]\nuse = "acme"\n'
    spec = sqlite_lab.write("toy", (*TOY[:5], own))
    assert sqlite_lab.statuses(spec) == ["done"]
    editable.write_text(ENCODER + "    # edited\n")
    assert sqlite_lab.statuses(spec) == ["evaluated"]
