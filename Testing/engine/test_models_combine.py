"""Several models as one: their networks answer together, and the result trains and segments as any other."""

from dataclasses import replace

import pytest
import torch
from training_boxes import save_parent, write_boxes

from Med3DCore.cli.main import main
from Med3DCore.errors import ModelError
from Med3DCore.models import save_package
from Med3DCore.models.combine import combine
from Med3DCore.models.package_file import load_package
from Med3DCore.models.weights import load_into
from Med3DCore.networks import build_network
from Med3DCore.training.learning.recipe import TrainingSettings
from Med3DCore.training.segmentation.trainer import rates_by_depth


@pytest.fixture
def two(tmp_path):
    """Two models that differ in the stage 'liver' alone."""
    first = save_parent(tmp_path)
    weights = {stage.name: first.read_weights(stage.name) for stage in first.stages}
    weights["liver"]["decoder.logits.0.bias"] += 8  # it sees liver everywhere
    return first, load_package(save_package(replace(first, name="other"), weights, tmp_path))


def network_of(package, stage="liver"):
    spec = next(each.network for each in package.stages if each.name == stage)
    network = build_network(spec).eval()
    load_into(network, package.read_weights(stage), stage)
    return network


def test_what_differs_is_averaged_and_what_does_not_is_there_once(two, tmp_path):
    path = save_package(*combine([*two, two[0]], "both"), tmp_path)
    both = load_package(path)
    both.verify()
    assert [stage.network.get("members", 1) for stage in both.stages] == [1, 2, 1]
    assert not both.metrics and set(both.provenance["combined_from"]) == {"tiny-1.0.0", "other-1.0.0"}
    x = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        one, other, together = (network_of(package)(x) for package in (*two, both))
    assert torch.allclose(together, (one + other) / 2, atol=1e-5) and not torch.allclose(one, other, atol=0.1)


def test_a_combined_model_is_fine_tuned_as_any_other(two, tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    data = write_boxes(tmp_path)
    assert main(["models", "combine", *(str(package.path) for package in two), "--name", "both"]) == 0
    both = load_package(tmp_path / "models" / "both-1.0.0.med3d.zip")
    command = ["fine-tune", "both", str(data), "-o", str(tmp_path / "run"), "--minutes", "5", "--device", "cpu"]
    short = ["steps=2", "patch=[16,16,16]", "batch=2"]
    assert main([*command, "--quiet", *(word for each in short for word in ("--set", each))]) == 0
    (tuned,) = (tmp_path / "models").glob("tiny-fine-tuned-*.med3d.zip")
    tuned = load_package(tuned)
    assert tuned.stages == both.stages
    before, after = both.read_weights("liver"), tuned.read_weights("liver")
    changed = {key.split(".")[1] for key in before if not before[key].equal(after[key])}
    assert changed == {"0", "1"}, "both members learn"


def test_early_layers_of_all_members_learn_slowest(two):
    network = build_network(combine(two, "both")[0].stages[1].network)
    groups = rates_by_depth(network, TrainingSettings(encoder_rate=0.5, layer_decay=0.5))
    alone = rates_by_depth(network.members[0], TrainingSettings(encoder_rate=0.5, layer_decay=0.5))
    assert [(group.rate, len(group.parameters)) for group in groups] == [
        (group.rate, 2 * len(group.parameters)) for group in alone
    ]


def test_what_cannot_be_combined_is_refused(two, tmp_path):
    first, other = two
    with pytest.raises(ModelError, match="at least two"):
        combine([first], "x")
    with pytest.raises(ModelError, match="same weights"):
        combine([first, first], "x")
    for package, sentence in (
        (replace(other, licence="MIT"), "their licence differ"),
        (replace(other, stages=(replace(first.stages[0], window=(48, 48, 48)), *first.stages[1:])), "their stages"),
    ):
        with pytest.raises(ModelError, match=sentence):
            combine([first, package], "x")
    both = load_package(save_package(*combine(two, "both"), tmp_path))
    third = {stage.name: both.read_weights(stage.name) for stage in both.stages}
    third["liver"] = {key: value * 2 for key, value in third["liver"].items()}
    twice = load_package(save_package(replace(both, name="twice"), third, tmp_path))
    with pytest.raises(ModelError, match="combined already"):
        combine([both, twice], "x")
