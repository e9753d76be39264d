"""Where a training starts: encoders of packages and checkpoints, whole stages, or random weights; and regions."""

import json

import numpy as np
import pytest
import torch
from training_boxes import save_parent, write_boxes, write_recipe

from Med3DCore.cli.main import main
from Med3DCore.errors import ModelError
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.networks import build_network
from Med3DCore.networks.resnet import ResNetEncoder
from Med3DCore.training.learning.initialization import find_start, set_weights
from Med3DCore.training.learning.recipe import read_recipe
from Med3DCore.training.patches.region import RegionSampling, label_box

ENCODER = {"name": "resnet", "depth": 10, "width": 4}
DECODERS = [{"name": "lung"}, {"name": "skip"}, {"name": "denseaspp", "dilations": [1, 2]}]


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(1)
    return ResNetEncoder(10, width=4)


@pytest.fixture(scope="module")
def files(encoder, tmp_path_factory):
    """An encoder as a package, as MedicalNet's file and as one of Kinetics (three colours)."""
    folder = tmp_path_factory.mktemp("encoders")
    weights = encoder.state_dict()
    package = ModelPackage(
        name="enc",
        version="1.0.0",
        title="Encoder",
        description="An encoder.",
        modality="CT/MR",
        licence="CC0",
        encoder=ENCODER,
        provenance={"seed": 7},
    )
    torch.save({"state_dict": {f"module.{k}": v for k, v in weights.items()}}, folder / "medicalnet.pth")
    colours = {**weights, "conv1.weight": weights["conv1.weight"].repeat(1, 3, 1, 1, 1) / 3, "fc.weight": torch.ones(4)}
    torch.save({"state_dict": {f"module.{k}": v for k, v in colours.items()}}, folder / "kinetics.pth")
    return {
        "package": str(save_package(package, {"encoder": weights}, folder, half=False)),
        "medicalnet": str(folder / "medicalnet.pth"),
        "kinetics": str(folder / "kinetics.pth"),
    }


def stage_with(tmp_path, network):
    path = write_recipe(tmp_path)
    recipe = json.loads(path.read_text())
    recipe["stages"][0]["network"] = network
    path.write_text(json.dumps(recipe))
    return read_recipe(path).stages[0].stage


@pytest.mark.parametrize("kind", ["package", "medicalnet", "kinetics"])
@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder["name"])
def test_every_decoder_starts_on_a_pretrained_encoder(files, encoder, tmp_path, kind, decoder):
    stage = stage_with(tmp_path, {"encoder": ENCODER, "decoder": decoder, "out_channels": 2})
    start = find_start(files[kind], stage, Catalogue(tmp_path, tmp_path))
    torch.manual_seed(2)
    network = build_network(stage.network)
    before = {key: value.clone() for key, value in network.decoder.state_dict().items()}
    set_weights(network, start.weights, "test")
    found = network.encoder.state_dict()
    assert all(torch.allclose(found[key], value) for key, value in encoder.state_dict().items())
    assert all(torch.equal(before[key], value) for key, value in network.decoder.state_dict().items())


def test_more_input_channels_share_the_kernel_of_the_first_convolution(files, encoder, tmp_path):
    stage = stage_with(
        tmp_path, {"encoder": {**ENCODER, "in_channels": 2}, "decoder": {"name": "upsample"}, "out_channels": 2}
    )
    kernel = find_start(files["medicalnet"], stage).weights["encoder.conv1.weight"]
    assert kernel.shape[1] == 2 and torch.allclose(kernel.sum(dim=1, keepdim=True), encoder.conv1.weight)


@pytest.mark.parametrize("change", [{"depth": 18}, {"width": 8}, {"shortcut": "A"}])
def test_an_encoder_of_another_kind_is_refused_with_counts(files, tmp_path, change):
    stage = stage_with(tmp_path, {"encoder": {**ENCODER, **change}, "decoder": {"name": "skip"}, "out_channels": 2})
    with pytest.raises(ModelError, match=r"medicalnet.pth is not the one of stage 'only'.*tensors match"):
        find_start(files["medicalnet"], stage)


def test_scratch_is_random_and_says_so():
    assert find_start("scratch", None).weights is None


def write_two_stages(folder):
    """The liver of the boxes in two stages, the second with DenseASPP on regions."""
    path = write_recipe(folder, steps=3, validate_every=3)
    recipe = json.loads(path.read_text())
    stage = recipe["stages"][0] | {"labels": ["liver"]}
    encoder = {**ENCODER, "output_stride": 32}
    coarse = {"encoder": encoder, "decoder": {"name": "upsample"}, "out_channels": 1}
    fine = {"encoder": ENCODER, "decoder": DECODERS[2], "out_channels": 1}
    recipe["model"]["labels"] = ["liver"]
    recipe["stages"] = [
        {**stage, "name": "coarse", "network": coarse},
        {
            **stage,
            "name": "liver",
            "network": fine,
            "region": {"stage": "coarse", "margin_mm": 20},
            "training": stage["training"] | {"region": {"expand": 0.3, "shift": 0.1}, "foreground": 0.0},
        },
    ]
    path.write_text(json.dumps(recipe))
    return path


def test_one_command_trains_both_stages_from_an_encoder(files, tmp_path, capsys):
    recipe, data, run = write_two_stages(tmp_path), write_boxes(tmp_path), tmp_path / "run"
    command = ["train", str(recipe), str(data), "-o", str(run), "--device", "cpu", "--quiet", "--init"]
    assert main([*command, files["package"]]) == 0
    assert capsys.readouterr().out.count("from the encoder enc-1.0.0") == 2
    package = load_package(run / "boxes-0.0.1.med3d.zip")
    package.verify()
    assert package.stages[1].network["decoder"]["name"] == "denseaspp"
    assert package.provenance["training"]["liver"]["region"] == {"expand": 0.3, "shift": 0.1}
    assert package.provenance["started_from"] == dict.fromkeys(("coarse", "liver"), "the encoder enc-1.0.0")
    assert package.provenance["parent"] == {"seed": 7} and "coarse from the encoder enc-1.0.0" in package.card
    assert main([*command, files["medicalnet"]]) == 0, "the same weights from another file"
    capsys.readouterr()
    assert main([*command, "scratch"]) == 2
    assert "holds a training with other settings, data or labels" in capsys.readouterr().err


def test_a_model_that_fits_no_stage_is_refused(files, tmp_path, capsys):
    recipe, data = write_two_stages(tmp_path), write_boxes(tmp_path)
    stranger = str(save_parent(tmp_path).path)
    assert main(["train", str(recipe), str(data), "-o", str(tmp_path / "run"), "--quiet", "--init", stranger]) == 2
    assert "has none of the recipe's stages ('coarse', 'liver')" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_regions_hold_the_label_and_stay_near_it():
    target = np.zeros((1, 60, 60, 60), np.uint8)
    target[0, 20:40, 25:35, 10:50] = 1
    low, high = label_box(target)
    assert low.tolist() == [20, 25, 10] and high.tolist() == [39, 34, 49]
    rng = np.random.default_rng(0)
    sampling, patch = RegionSampling(expand=0.25, shift=0.1), (8, 8, 8)
    centres = np.array([sampling.centre(low, high, patch, rng) for _ in range(500)])
    length = high - low + 1
    assert np.all(centres >= low - 0.35 * length) and np.all(centres <= high + 0.35 * length)
    assert np.all(centres.min(axis=0) < low + 4) and np.all(centres.max(axis=0) > high - 4)
    whole = np.array([RegionSampling(0.0, 0.0).centre(low, high, (64, 64, 64), rng) for _ in range(3)])
    assert np.allclose(whole, (low + high) / 2)
    assert label_box(np.zeros_like(target)) is None
