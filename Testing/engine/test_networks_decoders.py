"""The decoders: sizes, channels, parameters, what they see, and that they learn."""

import pytest
import torch

from Med3DCore.errors import SettingError
from Med3DCore.networks import build_network
from Med3DCore.networks.decoders import LungDecoder, UpsampleDecoder
from Med3DCore.networks.denseaspp import DenseASPPDecoder
from Med3DCore.networks.layers import enlarge
from Med3DCore.networks.skip_decoder import SkipDecoder

SMALL_ASPP = {"name": "denseaspp", "dilations": [1, 2], "dropout": 0.0}
CHANNELS, STRIDES = [4, 4, 8, 16, 32], [2, 4, 8, 16, 32]


def network(decoder, out_channels=3, **encoder):
    encoder = {"name": "resnet", "depth": 10, "width": 4, **encoder}
    return build_network({"encoder": encoder, "decoder": decoder, "out_channels": out_channels})


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("size", [(32, 32, 32), (33, 18, 47), (5, 9, 16), (1, 1, 1)])
@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("name", ["upsample", "skip", "denseaspp"])
def test_logits_have_the_size_of_the_input(name, output_stride, stem_stride, size):
    net = network({"name": name}, output_stride=output_stride, stem_stride=stem_stride).eval()
    with torch.inference_mode():
        logits = net(torch.randn(1, 1, *size))
    assert tuple(logits.shape) == (1, 3, *size)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("size", [(16, 24, 32), (17, 9, 23)])
def test_lung_decoder_doubles_three_times(size):
    net = network({"name": "lung"}, output_stride=8).eval()
    with torch.inference_mode():
        assert tuple(net(torch.randn(1, 1, *size)).shape) == (1, 3, *size)


@pytest.mark.parametrize(
    ("preset", "encoder_channels", "millions"),
    [("halving", 512, 5.25), ("halving", 2048, 15.87), ("literal", 512, 30.97), ("literal", 2048, 41.59)],
)
def test_lung_decoder_parameters(preset, encoder_channels, millions):
    with torch.device("meta"):
        decoder = LungDecoder([encoder_channels], [8], 2, preset)
    assert parameters(decoder) / 1e6 == pytest.approx(millions, abs=0.006)


def test_lung_decoder_refuses_another_stride():
    with pytest.raises(SettingError, match="total stride 8, but this one has 32"):
        LungDecoder(CHANNELS, STRIDES, 2)


@pytest.mark.parametrize(
    ("preset", "encoder_channels", "features", "millions"),
    [
        ("densenet121", 2048, 2368, 2.52),
        ("densenet161", 2048, 2688, 14.78),
        ("densenet169", 2048, 2888, 11.66),
        ("densenet121", 512, 832, 1.52),
        ("densenet161", 512, 1152, 10.83),
        ("densenet169", 512, 1352, 9.06),
    ],
)
def test_denseaspp_channels_and_parameters(preset, encoder_channels, features, millions):
    with torch.device("meta"):
        decoder = DenseASPPDecoder([encoder_channels], [8], 2, preset)
    assert decoder.features == decoder.logits.in_channels == features
    assert parameters(decoder) / 1e6 == pytest.approx(millions, abs=0.006)


def test_denseaspp_puts_new_features_in_front():
    decoder = DenseASPPDecoder([8], [1], 1, dilations=[1, 2]).eval()
    x = torch.randn(1, 8, 4, 4, 4)
    seen = []
    decoder.logits.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        decoder([x], x.shape[2:])
        first = decoder.blocks[0](x)
        second = decoder.blocks[1](torch.cat((first, x), 1))
    torch.testing.assert_close(seen[0], torch.cat((second, first, x), 1))


def test_denseaspp_sees_63_voxels_of_its_map_to_each_side():
    decoder = DenseASPPDecoder([1], [1], 1).eval()
    for name, p in decoder.named_parameters():
        torch.nn.init.constant_(p, 0.0 if name.endswith("bias") else 0.05)
    length, centre = 151, 75
    impulse = torch.zeros(1, 1, length, 1, 1)
    impulse[0, 0, centre] = 1
    with torch.inference_mode():
        response = decoder([impulse], impulse.shape[2:]).flatten()
        dilated = decoder.blocks[1].layers[5](impulse.expand(1, 128, length, 1, 1))[0, 0].flatten()
    assert (response.nonzero().flatten()[[0, -1]] - centre).tolist() == [-63, 63]  # 3 + 6 + 12 + 18 + 24
    assert (dilated.nonzero().flatten() - centre).tolist() == [-6, 0, 6]


def test_upsample_decoder_is_a_linear_map_and_trilinear():
    decoder = UpsampleDecoder([1], [2], 1)
    torch.nn.init.ones_(decoder.logits.weight)
    torch.nn.init.zeros_(decoder.logits.bias)
    ramp = torch.arange(6.0).reshape(1, 1, 6, 1, 1)
    with torch.inference_mode():
        out = decoder([ramp], (11, 1, 1)).flatten()
    torch.testing.assert_close(out[1:10], 0.5 * torch.arange(1.0, 10.0) - 0.25)


def test_enlarging_does_not_shift_when_a_size_becomes_odd():
    x = torch.randn(1, 1, 4, 4, 4)
    whole = enlarge(x, 4, (16, 16, 16))
    assert torch.equal(enlarge(x, 4, (15, 13, 14)), whole[:, :, :15, :13, :14])


@pytest.mark.parametrize("channels", [2, 9])  # by products, and by torch itself
def test_enlarging_and_its_gradient_are_torchs_trilinear_ones(channels):
    x = torch.randn(2, channels, 3, 5, 4).to(memory_format=torch.channels_last_3d)
    ours, wanted = x.clone().requires_grad_(), x.clone().requires_grad_()
    large = enlarge(ours, (2, 4, 3), (6, 19, 12))
    torch_large = torch.nn.functional.interpolate(wanted, (6, 20, 12), mode="trilinear")[..., :19, :]
    torch.testing.assert_close(large, torch_large)
    weights = torch.randn(large.shape)
    (large * weights).sum().backward()
    (torch_large * weights).sum().backward()
    torch.testing.assert_close(ours.grad, wanted.grad)


def test_reducing_before_or_after_enlarging_is_the_same():
    reduce = torch.nn.Conv3d(6, 2, 1, bias=False)
    x = torch.randn(1, 6, 5, 4, 3)
    torch.testing.assert_close(enlarge(reduce(x), 2, (10, 8, 6)), reduce(enlarge(x, 2, (10, 8, 6))))


def test_skip_decoder_levels():
    decoder = SkipDecoder(CHANNELS, STRIDES, 5, channels=[12, 10, 6, 4])
    convolutions = [[m for m in level.modules() if isinstance(m, torch.nn.Conv3d)] for level in decoder.merge]
    assert [len(level) for level in convolutions] == [2, 2, 2, 1]
    assert [level[0].in_channels for level in convolutions] == [16 + 12, 8 + 10, 4 + 6, 4 + 4]
    assert decoder.logits[0].in_channels == 4
    assert SkipDecoder(CHANNELS, STRIDES, 5).logits[0].in_channels == CHANNELS[0] // 2


def test_skip_decoder_uses_every_map():
    features = [torch.randn(1, c, 32 // s, 32 // s, 32 // s, requires_grad=True) for c, s in zip(CHANNELS, STRIDES)]  # noqa: B905
    SkipDecoder(CHANNELS, STRIDES, 2)(features, (32, 32, 32)).square().sum().backward()
    assert all(x.grad.abs().sum() > 0 for x in features)


@pytest.mark.parametrize("channels", [[8, 8, 4], [8, 8, 4, 0], [8, 8, 4, 2.0], 8])
def test_skip_decoder_refuses_other_channels(channels):
    with pytest.raises(SettingError, match="channels of the decoder 'skip'"):
        SkipDecoder(CHANNELS, STRIDES, 2, channels=channels)


def test_deep_supervision_only_in_training():
    net = network({"name": "skip", "deep_supervision": True}, output_stride=32, stem_stride=1)
    x = torch.randn(2, 1, 33, 32, 16)
    shapes = [tuple(t.shape[2:]) for t in net(x)]
    assert shapes == [(33, 32, 16), (17, 16, 8), (9, 8, 4), (5, 4, 2)]
    assert tuple(net.eval()(x).shape) == (2, 3, 33, 32, 16)


def test_classification_head():
    net = network({"name": "classification"}, out_channels=2).eval()
    with torch.inference_mode():
        x = torch.randn(3, 1, 16, 17, 18)
        expected = net.encoder(x).mean((2, 3, 4)) @ net.decoder.logits.weight.flatten(1).T + net.decoder.logits.bias
        torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize("decoder", [{"name": n} for n in ("upsample", "lung", "skip")] + [SMALL_ASPP])
def test_training_lowers_the_loss(decoder):
    torch.manual_seed(0)
    net = network(decoder, out_channels=2)
    x = torch.randn(2, 1, 16, 16, 16)
    target = (torch.nn.functional.interpolate(x[:, :, ::8, ::8, ::8], scale_factor=8) > 0).long()[:, 0]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad is not None for p in net.parameters())
