"""A spec with [generator] trains, stores its losses, and is found again; what is wrong is told."""

from __future__ import annotations

import re
import statistics

import pytest
import torch
from support.lab import DATASET, TOY, TRAIN, Lab
from support.toy_generator import Dreamer

import mmlab
from mmlab.errors import PluginError, SpecError
from mmlab.model.generation import make_condition
from mmlab.plan.content import hashed
from mmlab.plan.resolve import plan_specs
from mmlab.plugin import GENERATED
from mmlab.runner.identity import describe_training

TEXT = '[encoders.text]\nuse = "toy"\n'
FUSION = '[fusion]\nuse = "concat"\ndim = 8\ninputs = ["text"]\nmodality_dropout = 0.2\n'
GENERATOR = '[generator]\nuse = "dreamer"\ntarget = "image"\n'
LOSS = '[[losses]]\nuse = "generation"\n'
DREAM = (DATASET, TEXT, FUSION, GENERATOR, LOSS, TRAIN)


def curve(lab: Lab, name: str) -> list[float]:
    """What was told of one value, which must be what is stored."""
    told = [p.value for one in lab.shown.progressed for p in one.points if p.name == name]
    rows = [row for row in lab.dump()["metrics"] if name in row]
    assert sorted(v for row in rows for v in row if isinstance(v, float)) == sorted(told)
    return told


def test_a_generator_is_trained_and_its_losses_are_stored(lab: Lab) -> None:
    spec = lab.write("dream", DREAM)
    detail = lab.run_one(spec, "train.epochs=20")
    losses = curve(lab, "validation/loss")
    assert len(losses) == 20
    assert losses[-1] < 0.8 * losses[0]
    assert detail.summary["best_value"] == min(losses)
    times = curve(lab, "validation/generation/time")
    assert max(times) == min(times)  # the same at every validation
    assert statistics.mean(times) == pytest.approx(0.5, abs=0.02)
    parts = detail.summary["parameters_by_part"]
    assert isinstance(parts, dict)
    assert parts["generator"] == 8 + 13 * 16 + 16 + 16 * 4 + 4
    assert detail.summary["weights"] == {"text": "random", GENERATED: "random"}
    assert lab.statuses(spec, "train.epochs=20") == ["skipped"]


def test_samples_of_a_loaded_run_follow_their_text(sqlite_lab: Lab) -> None:
    """Labels lie around 2 along an axis of their own; without a text it is any of them."""
    spec = sqlite_lab.write("dream", DREAM)
    sqlite_lab.run_one(spec, "train.epochs=60", "train.evaluate_every=60", "train.lr=0.02")
    loaded = mmlab.load("dream", db=sqlite_lab.db, runs=sqlite_lab.runs)
    reader, model = loaded.readers["text"], loaded.model
    assert loaded.readers[GENERATED].placeholder.shape == Dreamer.shape
    texts = ["red 🟥 number 2001", "<b>blue</b> number 2002"]
    with torch.no_grad():
        x = torch.stack([reader.encoder.transform(text, False) for text in texts])
        x = x.repeat_interleave(50, 0)
        outputs = model.outputs({"text": model.encode("text", x)})
        condition = make_condition([outputs.features["text"]], outputs.fused)
        noise = torch.randn(100, *Dreamer.shape, generator=torch.Generator().manual_seed(0))
        assert isinstance(model.generator, Dreamer)
        sample = model.generator.sample(condition, noise, steps=10, guidance=1.0).view(2, 50, 4)
    means = sample.mean(1)
    assert means[0].argmax() == 0
    assert means[1].argmax() == 2


def test_a_head_and_a_generator_stand_in_one_spec(sqlite_lab: Lab) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("both", (*TOY[:4], GENERATOR, LOSS, *TOY[4:])))
    whole = curve(sqlite_lab, "validation/loss")
    parts = [curve(sqlite_lab, f"validation/{name}/loss") for name in ("scripted", "generation")]
    assert whole == pytest.approx([sum(pair) for pair in zip(*parts, strict=True)])
    assert detail.evaluations


def test_it_starts_from_another_runs_weights_and_stays_frozen(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    first = lab.run_one(lab.write("dream", DREAM))
    weights = 'weights = { run = "dream" }\n'
    table = f"{GENERATOR}freeze = true\n{weights}"
    text = lab.write("second", (DATASET, TEXT, FUSION, table, LOSS, TRAIN))
    second = lab.run_one(text)
    before, after = lab.weights(first), lab.weights(second)
    names = [name for name in before if name.startswith("model.generator.")]
    assert len(names) == 5
    assert all(before[name].equal(after[name]) for name in names)
    other = [name for name in before if name.startswith("model.encoders.")]
    assert not all(before[name].equal(after[name]) for name in other)
    origins = second.summary["weights"]
    assert isinstance(origins, dict)
    assert first.run.run_id in origins[GENERATED]
    assert lab.statuses(text) == ["skipped"]
    mmlab.load("second", db=lab.db, runs=lab.runs)


def test_weights_may_come_from_a_file(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    first = lab.run_one(lab.write("dream", DREAM))
    (path,) = [lab.runs / kept.path for kept in first.artifacts if kept.role == "final"]
    table = f'{GENERATOR}freeze = true\nweights = {{ file = "{path}" }}\n'
    second = lab.run_one(lab.write("second", (DATASET, TEXT, FUSION, table, LOSS, TRAIN)))
    name = "model.generator.map.0.weight"
    assert lab.weights(first, "final")[name].equal(lab.weights(second)[name])


def test_its_learning_rate_is_scaled(sqlite_lab: Lab) -> None:
    """A first step of Adam moves every weight by the learning rate."""
    lab = sqlite_lab
    first = lab.run_one(lab.write("plain", DREAM), "train.max_steps=1", "train.weight_decay=0.0")
    slow = (DATASET, TEXT, FUSION, f"{GENERATOR}lr_scale = 0.5\n", LOSS, TRAIN)
    second = lab.run_one(lab.write("slow", slow), "train.max_steps=1", "train.weight_decay=0.0")
    name, key = "model.generator.map.0.bias", "model.encoders.text.first.bias"
    fast, halved = lab.weights(first, "final"), lab.weights(second, "final")
    assert fast[key].equal(halved[key])
    assert not fast[name].equal(halved[name])


def test_nothing_that_was_stored_before_generators_is_another_run(sqlite_lab: Lab) -> None:
    """A spec without [generator] has the identity that it had before there were any."""
    (plan,) = plan_specs([sqlite_lab.write("plain")], ())
    assert plan.generator is None
    assert "generator" not in hashed(describe_training(plan, {}, {}))


def test_each_key_of_its_table_is_part_of_the_identity(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("dream", DREAM)
    assert sqlite_lab.statuses(spec) == ["done"]
    for change in ("hidden=17", "lr_scale=2.0", "freeze=true"):
        assert sqlite_lab.statuses(spec, f"generator.{change}") == ["done"]
    assert sqlite_lab.statuses(spec) == ["skipped"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ((DATASET, TEXT, FUSION, LOSS, TRAIN), "reads the model's generation, which this spec"),
        ((*DREAM[:4], *TOY[3:5]), "no loss trains the generator"),
        (
            (*TOY[:2], '[fusion]\nuse = "directional_projections"\n', GENERATOR, LOSS, TRAIN),
            "the generator reads the model's vector",
        ),
        ((*DREAM[:3], '[generator]\nuse = "dreamer"\n', *DREAM[4:]), "generator.target: missing"),
        (
            (*DREAM[:3], f"{GENERATOR}weights = {{ run = 'a', file = 'b' }}\n", *DREAM[4:]),
            "generator.weights.file: names two sources",
        ),
        (
            (*DREAM[:3], f"{GENERATOR}weights = {{ run = 'a', encoder = 'b' }}\n", *DREAM[4:]),
            "generator.weights.encoder: unknown key",
        ),
        (
            (*DREAM[:3], GENERATOR.replace("dreamer", "dreamre"), *DREAM[4:]),
            'did you mean "dreamer"',
        ),
        ((*DREAM[:3], f"{GENERATOR}hiden = 4\n", *DREAM[4:]), 'did you mean "hidden"'),
    ],
)
def test_what_is_wrong_with_a_generator_is_told_at_its_place(
    sqlite_lab: Lab, tables: tuple[str, ...], message: str
) -> None:
    with pytest.raises((SpecError, PluginError), match=re.escape(message)):
        plan_specs([sqlite_lab.write("wrong", tables)], ())


def test_a_target_that_the_dataset_lacks_ends_the_run(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("dream", DREAM)
    (outcome,) = sqlite_lab.run(spec, 'generator.target="sound"')
    assert outcome.status == "failed"
    said = "generator.target: no sample of the dataset has the modality 'sound'"
    assert said in str(outcome.error)


def test_weights_of_a_run_without_generator_are_refused(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("plain", TOY))
    table = f'{GENERATOR}weights = {{ run = "plain" }}\n'
    spec = sqlite_lab.write("second", (*DREAM[:3], table, *DREAM[4:]))
    (outcome,) = sqlite_lab.run(spec)
    assert outcome.status == "failed"
    assert "generator.weights" in str(outcome.error)
