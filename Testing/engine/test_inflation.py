"""Starts from a 2D ResNet's weights: I3D, ACS and 2.5D."""

import json

import pytest
import torch
from torch import nn
from training_boxes import write_recipe

from Med3DCore.errors import ModelError
from Med3DCore.models.checkpoints import import_checkpoint
from Med3DCore.models.inflation import inflate, is_flat
from Med3DCore.networks.resnet import ResNetEncoder
from Med3DCore.training.comparison.init import Init
from Med3DCore.training.learning.initialization import find_start
from Med3DCore.training.learning.recipe import read_recipe


@pytest.fixture(scope="module")
def flat():
    torch.manual_seed(3)
    return ResNetEncoder(10, in_channels=3, width=8, output_stride=32, flat=True).eval()


@pytest.fixture(scope="module")
def file(flat, tmp_path_factory):
    """As torchvision writes it: 2D kernels, three colours, a classifier."""
    path = tmp_path_factory.mktemp("flat") / "resnet10.pth"
    weights = {key: value.squeeze(2) if value.ndim == 5 else value for key, value in flat.state_dict().items()}
    torch.save({**weights, "fc.weight": torch.ones(5, 64), "fc.bias": torch.zeros(5)}, path)
    return path


@pytest.fixture
def stage(tmp_path):
    path = write_recipe(tmp_path)
    recipe = json.loads(path.read_text())
    recipe["stages"][0]["network"]["encoder"] = {"name": "resnet", "depth": 10, "width": 8}
    path.write_text(json.dumps(recipe))
    return read_recipe(path).stages[0].stage


def test_a_2d_file_is_read_as_a_flat_encoder(file, flat):
    encoder = import_checkpoint(file, in_channels=3)
    assert encoder.flat
    assert encoder.report.ignored == ("fc.weight", "fc.bias")
    assert all(torch.equal(encoder.state_dict[key], value) for key, value in flat.state_dict().items())
    assert encoder.spec["flat"] is True
    # colour to grey by the sum, as VDT's code does (papers.md B2)
    grey = import_checkpoint(file).state_dict["conv1.weight"]
    assert torch.allclose(grey, flat.conv1.weight.sum(dim=1, keepdim=True))


def test_i3d_answers_to_a_constant_volume_as_the_2d_network_does(flat):
    deep = ResNetEncoder(10, in_channels=3, width=8, output_stride=32, depth_stride=False).eval()
    deep.load_state_dict(inflate(flat.state_dict(), "i3d"))
    x = torch.randn(1, 3, 1, 33, 32)
    with torch.no_grad():
        wanted, found = flat(x), deep(x.repeat(1, 1, 61, 1, 1))
    # 30 slices from either end no padding is seen: 3 by the stem, 1 by the pool, 1 by each of 8 convolutions
    assert torch.allclose(found[:, :, 30], wanted[:, :, 0], atol=1e-5)
    assert not torch.allclose(found[:, :, 0], wanted[:, :, 0], atol=1e-3)


def test_25d_treats_every_slice_by_itself(flat):
    weights = flat.state_dict()
    inflated = inflate(weights, "2.5d")["layer1.0.conv1.weight"]
    x = torch.randn(1, 8, 4, 9, 9)
    assert torch.allclose(
        nn.functional.conv3d(x, inflated, padding=1),
        nn.functional.conv3d(x, weights["layer1.0.conv1.weight"], padding=(0, 1, 1)),
        atol=1e-5,
    )


def test_acs_gives_each_plane_its_third_of_the_output_channels(flat):
    kernel = flat.layer1[0].conv1.weight.detach()  # 8 output channels: 3 axial, 3 coronal, 2 sagittal
    x = torch.randn(1, 8, 7, 8, 9)
    found = nn.functional.conv3d(x, inflate({"w": kernel}, "acs")["w"], padding=1)
    axial = nn.functional.conv3d(x, kernel[:3], padding=(0, 1, 1))
    coronal = nn.functional.conv3d(x, kernel[3:6].transpose(2, 3), padding=(1, 0, 1))
    sagittal = nn.functional.conv3d(x, kernel[6:].permute(0, 1, 3, 4, 2), padding=(1, 1, 0))
    assert torch.allclose(found, torch.cat((axial, coronal, sagittal), dim=1), atol=1e-5)


@pytest.mark.parametrize("way", ["2.5d", "i3d", "acs"])
def test_one_word_before_the_file_is_a_start(file, stage, way):
    start = find_start(f"{way}:{file}", stage)
    assert start.source == f"the encoder in resnet10.pth, {way} from 2D"
    assert start.weights["encoder.conv1.weight"].shape == (8, 1, 7, 7, 7)
    assert not is_flat({"conv1.weight": start.weights["encoder.conv1.weight"]})
    assert Init.parse(f"{way}:{file}").name == f"{way}-resnet10.pth"


def test_what_makes_no_sense_says_what_to_do(file, stage, tmp_path):
    with pytest.raises(ModelError, match=r"is a 2D ResNet; say how to use it in 3D: i3d:resnet10\.pth"):
        find_start(str(file), stage)
    deep = tmp_path / "deep.pth"
    torch.save(ResNetEncoder(10, width=8).state_dict(), deep)
    with pytest.raises(ModelError, match="is a 3D encoder already"):
        find_start(f"i3d:{deep}", stage)
