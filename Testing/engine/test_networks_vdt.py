"""VDT's networks: the same ResNet by arguments, without a stride along z, and the decoders of its transfer tasks."""

import pytest
import torch
from torch import nn

from Med3DCore.errors import SettingError
from Med3DCore.models.weights import compare
from Med3DCore.networks import build_network
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.few_slices import is_faster_in_2d
from Med3DCore.networks.resnet import ResNetEncoder

PRETRAINING = {"output_stride": 32, "depth_stride": False}


def test_three_slices_stay_three_and_the_sizes_are_the_published_ones():
    encoder = ResNetEncoder(18, **PRETRAINING)
    assert sum(p.numel() for p in encoder.parameters()) == 33_160_000  # papers.md B1
    shapes = [tuple(m.shape[1:]) for m in encoder.eval().features(torch.zeros(1, 1, 3, 224, 224))]
    assert shapes == [(64, 3, 112, 112), (64, 3, 56, 56), (128, 3, 28, 28), (256, 3, 14, 14), (512, 3, 7, 7)]
    assert encoder.strides[-1] == (1, 32, 32)


@pytest.mark.parametrize(("depth", "shortcut"), [(10, "B"), (18, "A"), (34, "B"), (50, "B")])
def test_the_weights_are_those_of_the_network_with_strides_along_z(depth, shortcut):
    flatless = ResNetEncoder(depth, shortcut=shortcut, width=4, **PRETRAINING)
    strided = ResNetEncoder(depth, shortcut=shortcut, width=4)
    assert compare(strided.state_dict(), flatless.state_dict()).is_complete
    strided.load_state_dict(flatless.state_dict())
    assert strided.eval()(torch.zeros(1, 1, 32, 32, 32)).shape[2] == 4


def test_only_the_last_layer_differs_from_the_pretraining_network():
    """Published: nothing but the classifier is missing after the reload."""
    pretrained = build_network(
        {
            "encoder": {"name": "resnet", "depth": 10, "width": 4, **PRETRAINING},
            "decoder": {"name": "classification"},
            "out_channels": 7,
        }
    ).state_dict()
    transfer = build_network(
        {
            "encoder": {"name": "resnet", "depth": 10, "width": 4},
            "decoder": {"name": "classification"},
            "out_channels": 2,
        }
    ).state_dict()
    fit = compare(transfer, pretrained)
    assert not fit.missing and not fit.unexpected
    assert [name.partition(" ")[0] for name in fit.wrong_shape] == ["decoder.logits.weight", "decoder.logits.bias"]


def test_the_outer_taps_of_the_stem_see_nothing_of_a_picture():
    torch.manual_seed(0)
    encoder = ResNetEncoder(10, width=4, **PRETRAINING)
    encoder(torch.randn(2, 1, 3, 32, 32)).square().sum().backward()
    norms = encoder.conv1.weight.grad.pow(2).sum(dim=(0, 1, 3, 4))
    assert norms[0] == norms[6] == 0
    assert (norms[1:6] > 0).all()
    for name, parameter in encoder.named_parameters():
        if parameter.ndim == 5 and parameter.shape[2] == 3:
            assert (parameter.grad.pow(2).sum(dim=(0, 1, 3, 4)) > 0).all(), name


def test_order_of_the_slices_matters_to_no_flat_network_but_to_a_3d_one():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 3, 32, 32)
    for flat, same in ((True, True), (False, False)):
        encoder = ResNetEncoder(10, width=4, flat=flat, output_stride=32, depth_stride=False).eval()
        with torch.no_grad():
            assert torch.allclose(encoder(x).mean(2), encoder(x.flip(2)).mean(2), atol=1e-6) == same


def test_a_flat_network_is_torchs_2d_one():
    torch.manual_seed(0)
    flat = ResNetEncoder(18, in_channels=3, width=4, output_stride=32, flat=True).eval()
    assert {k.shape[2] for k in flat.state_dict().values() if k.ndim == 5} == {1}
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        y = nn.functional.conv2d(x, flat.conv1.weight[:, :, 0], stride=2, padding=3)
        y = nn.functional.max_pool2d(flat.bn1(y[:, :, None])[:, :, 0].relu(), 3, 2, 1)
        for block in flat.layer1:
            inner = nn.functional.conv2d(y, block.conv1.weight[:, :, 0], padding=1)
            inner = block.bn1(inner[:, :, None])[:, :, 0].relu()
            inner = nn.functional.conv2d(inner, block.conv2.weight[:, :, 0], padding=1)
            y = (y + block.bn2(inner[:, :, None])[:, :, 0]).relu()
        assert torch.allclose(flat.features(x[:, :, None])[1][:, :, 0], y, atol=1e-5)


def test_the_cube_networks_of_the_transfer_tasks_have_the_published_strides():
    whole = ResNetEncoder(10, width=4, output_stride=32)
    shapes = [tuple(m.shape[2:]) for m in whole.eval().features(torch.zeros(1, 1, 48, 48, 48))]
    assert [s[0] for s in shapes] == [24, 12, 6, 3, 2]  # B3.1
    cube = ResNetEncoder(10, width=4, stem_stride=1, stem_pool=False, stage_strides=[1, 2, 1, 2])
    assert cube.strides == [1, 1, 2, 2, 4]  # B3.2
    assert ResNetEncoder(10, width=4, stem_stride=1, output_stride=32).strides == [1, 2, 4, 8, 16]  # B3.3


@pytest.mark.parametrize(
    ("encoder", "decoder", "size"),
    [
        ({"stem_stride": 1, "output_stride": 32}, "unet", (9, 20, 17)),
        ({"stem_stride": 1, "stem_pool": False, "stage_strides": [1, 2, 1, 2]}, "nodule", (9, 10, 11)),
        ({"output_stride": 32, "depth_stride": False}, "unet", (3, 40, 33)),
        ({"output_stride": 32, "depth_stride": False}, "skip", (3, 40, 33)),
        ({"output_stride": 32, "depth_stride": False}, "upsample", (3, 40, 33)),
    ],
)
def test_decoders_give_logits_of_the_input_size(encoder, decoder, size):
    spec = {"encoder": {"name": "resnet", "depth": 10, "width": 4, **encoder}, "decoder": {"name": decoder}}
    network = build_network({**spec, "out_channels": 2})
    assert network(torch.randn(2, 1, *size)).shape == (2, 2, *size)


def test_upsampling_keeps_slices_apart():
    """A stride of 1 along z is no stride of the others: what differs in one slice stays in it."""
    spec = {"encoder": {"name": "resnet", "depth": 10, "width": 4, "flat": True, "output_stride": 32}}
    network = build_network({**spec, "decoder": {"name": "upsample"}, "out_channels": 1}).eval()
    x = torch.randn(1, 1, 3, 32, 32)
    other = x.clone()
    other[:, :, 1] = 0
    with torch.no_grad():
        differs = (network(x) - network(other)).abs().amax(dim=(0, 1, 3, 4)) > 1e-6
    assert differs.tolist() == [False, True, False]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_kernel_on_three_slices_is_the_same_in_2d(channels, bias):
    torch.manual_seed(0)
    conv = Conv3d(channels, 4, 7, stride=(1, 2, 2), padding=3, bias=bias)
    x = torch.randn(2, channels, 3, 9, 11, requires_grad=True)
    assert is_faster_in_2d(x, conv)
    ours, torchs = conv(x), nn.Conv3d.forward(conv, x)
    assert torch.allclose(ours, torchs, atol=1e-5)
    gradient = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad(ours, (x, conv.weight), gradient),
        torch.autograd.grad(torchs, (x, conv.weight), gradient),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"stage_strides": [1, 2, 2]}, "stage_strides of the encoder"),
        ({"stage_strides": [1, 2, 3, 2]}, "each must be 1 or 2"),
        ({"flat": 1}, "flat of the encoder"),
        ({"depth_stride": "no"}, "depth_stride of the encoder"),
    ],
)
def test_wrong_arguments_are_named(arguments, sentence):
    with pytest.raises(SettingError, match=sentence):
        ResNetEncoder(10, **arguments)
