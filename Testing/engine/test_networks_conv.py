"""Convolutions that avoid slow paths compute what torch computes."""

import pytest
import torch

from Med3DCore.networks import blocked_conv, conv, tap_gradient
from Med3DCore.networks.blocked_conv import BlockedConv3d, conv3x3x3
from Med3DCore.networks.conv import Conv3d, enlarged
from Med3DCore.networks.resnet import ResNetEncoder
from Med3DCore.networks.tap_gradient import is_faster_by_taps


def plain(module, x):
    return torch.nn.Conv3d.forward(module, x)


@pytest.mark.parametrize("settings", [{"padding": "same"}, {"padding": 1, "padding_mode": "replicate"}])
@pytest.mark.parametrize("shape", [(1, 8, 4, 5, 6), (2, 8, 4, 5, 6)])
def test_other_paddings_than_zeros_are_torchs(settings, shape):
    module = Conv3d(8, 4, 3, **settings)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(module(x), plain(module, x))


@pytest.mark.parametrize("step", [(2, 2, 2), (1, 2, 2), (2, 1, 3)])
@pytest.mark.parametrize("depth", [1, 4])
def test_a_map_is_enlarged_as_by_torch_without_its_slow_path(step, depth):
    module = torch.nn.ConvTranspose3d(6, 4, step, step).to(memory_format=torch.channels_last_3d)
    x = torch.randn((1, 6, depth, 5, 7), generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last_3d)
    with torch.inference_mode(), torch.profiler.profile() as profile:
        found = enlarged(x, module)
    assert (depth == 1) or not [event for event in profile.events() if "slow_conv_transpose" in event.name]
    assert enlarged(x, module).requires_grad
    torch.testing.assert_close(found, module(x))


def test_only_large_dilated_convolutions_are_blocked():
    with torch.device("meta"):
        blocked = [name for name, m in ResNetEncoder(18).named_modules() if isinstance(m, BlockedConv3d)]
        assert blocked == ["layer4.0.conv1", "layer4.0.conv2", "layer4.1.conv1", "layer4.1.conv2"]
        for other in (ResNetEncoder(18, output_stride=32), ResNetEncoder(18, width=32)):
            assert not any(isinstance(m, BlockedConv3d) for m in other.modules())
        assert not isinstance(conv3x3x3(512, 512, dilation=2), BlockedConv3d)
        assert isinstance(conv3x3x3(256, 512, dilation=4), BlockedConv3d)  # slow in its gradient


def test_switched_on_only_for_bfloat16_with_amx(monkeypatch):
    x, half = torch.zeros(1), torch.zeros(1, dtype=torch.bfloat16)
    for has_amx in (False, True):
        monkeypatch.setattr(blocked_conv, "_cpu_has_amx", lambda has_amx=has_amx: has_amx)
        assert not blocked_conv._blocks_are_faster(x)
        assert blocked_conv._blocks_are_faster(half) is has_amx
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert blocked_conv._blocks_are_faster(x) is has_amx


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("channels", [(600, 8), (8, 600), (520, 300)])
def test_blocks_are_exact_up_to_rounding(monkeypatch, channels, bias):
    monkeypatch.setattr(blocked_conv, "_blocks_are_faster", lambda _: True)
    torch.manual_seed(0)
    module = conv3x3x3(*channels, stride=2, dilation=4, bias=bias).double()
    assert isinstance(module, BlockedConv3d)
    assert set(module.state_dict()) == ({"weight", "bias"} if bias else {"weight"})
    gradients = []
    for forward in (module, lambda x: plain(module, x)):
        x = torch.randn(2, channels[0], 6, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        x.requires_grad_()
        module.zero_grad()
        y = forward(x)
        y.square().sum().backward()
        gradients.append((y.detach(), x.grad, module.weight.grad.clone()))
    for blocked, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(blocked, expected, rtol=1e-10, atol=1e-10)


def test_blocks_in_bfloat16(monkeypatch):
    monkeypatch.setattr(blocked_conv, "_cpu_has_amx", lambda: True)
    torch.manual_seed(0)
    module = conv3x3x3(512, 32, dilation=4)
    x = torch.randn(1, 512, 8, 8, 8)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        y = module(x)
    assert y.dtype == torch.bfloat16
    expected = plain(module, x)
    assert (y - expected).abs().max() < 0.02 * expected.abs().max()


@pytest.mark.parametrize("channels_last", [False, True])
def test_single_small_volumes_give_torchs_values(monkeypatch, channels_last):
    calls = []
    real = torch.ops.aten.mkldnn_convolution
    monkeypatch.setattr(torch.ops.aten, "mkldnn_convolution", lambda *a: calls.append(1) or real(*a))
    torch.manual_seed(0)
    module = Conv3d(4, 6, 3, stride=2, padding=1, dilation=2)
    x = torch.randn(1, 4, 7, 8, 9)
    if channels_last:
        module, x = (t.to(memory_format=torch.channels_last_3d) for t in (module, x))
    with torch.inference_mode():
        torch.testing.assert_close(module(x), plain(module, x), rtol=1e-5, atol=1e-6)
    assert len(calls) == torch.backends.mkldnn.is_available()


def test_the_direct_path_is_left_where_torch_must_decide(monkeypatch):
    weight = torch.zeros(1)
    x = torch.zeros(1, 1, 2, 2, 2)
    with torch.inference_mode():
        assert conv._torch_may_be_slow(x, weight) is torch.backends.mkldnn.is_available()
        assert not conv._torch_may_be_slow(x.double(), weight.double())
        assert not conv._torch_may_be_slow(x.expand(2, -1, -1, -1, -1), weight)
        assert not conv._torch_may_be_slow(x.to("meta"), weight.to("meta"))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert not conv._torch_may_be_slow(x, weight)
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        assert not conv._torch_may_be_slow(x, weight)
        monkeypatch.undo()
    assert not conv._torch_may_be_slow(x, weight)  # a gradient may be wanted


@pytest.mark.parametrize("dilation,padding", [(1, 1), (4, 4), ((1, 2, 3), (0, 1, 3)), (9, 9)])
def test_gradients_by_taps_are_torchs_but_for_rounding(monkeypatch, dilation, padding):
    monkeypatch.setattr(tap_gradient, "_MIN_CHANNELS", 3)
    monkeypatch.setattr(tap_gradient, "_MAX_VOXELS_A_CHANNEL", 1000)
    taken = []
    monkeypatch.setattr(conv, "conv3d_by_taps", lambda *args: (taken.append(1), tap_gradient.conv3d_by_taps(*args))[1])
    torch.manual_seed(0)
    module = Conv3d(3, 5, (3, 2, 3), padding=padding, dilation=dilation)
    gradients = []
    for forward in (module, lambda x: plain(module, x)):
        x = torch.randn(2, 3, 7, 8, 9, generator=torch.Generator().manual_seed(1)).requires_grad_()
        module.zero_grad()
        y = forward(x)
        (y * torch.arange(y.numel()).reshape(y.shape).sin()).sum().backward()
        gradients.append((y.detach(), x.grad, module.weight.grad.clone(), module.bias.grad.clone()))
    assert len(taken) == 1
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_taps_are_for_many_weights_and_small_maps_in_training():
    maps, kernel = torch.zeros(2, 128, 8, 8, 8), torch.zeros(128, 128, 3, 3, 3).requires_grad_()
    assert is_faster_by_taps(maps, kernel)
    for other in (
        (torch.zeros(2, 128, 16, 16, 16), kernel),
        (torch.zeros(2, 64, 8, 8, 8), torch.zeros(128, 64, 3, 3, 3).requires_grad_()),
        (maps, torch.zeros(128, 128, 1, 1, 1).requires_grad_()),
        (maps, kernel.detach()),
        (maps.double(), kernel),
    ):
        assert not is_faster_by_taps(*other)
    with torch.no_grad():
        assert not is_faster_by_taps(maps, kernel)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not is_faster_by_taps(maps, kernel)


def test_a_frozen_input_and_a_frozen_kernel_get_no_gradient():
    module = Conv3d(128, 128, 3, padding=1)
    x = torch.randn(1, 128, 2, 2, 2)
    module(x).sum().backward()
    assert module.weight.grad is not None and x.grad is None
    module.weight.requires_grad_(False)
    module(x.requires_grad_()).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("slices", [1, 2, 3, 4])
def test_in_bfloat16_the_gradient_of_weights_is_right_where_slices_are_few(slices):
    torch.manual_seed(slices)
    module, x = Conv3d(16, 16, 3, padding=1), torch.randn(2, 16, slices, 4, 4)
    for dtype in (torch.float32, torch.bfloat16):
        module.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            y = module(x)
        unwritten = [torch.full((size,), 1e30) for size in (2**12, 2**14, 2**16, 2**18)]
        del unwritten  # what torch takes next and does not write shows
        y.float().square().sum().backward()
        gradient = module.weight.grad.clone()
        if dtype == torch.float32:
            right = gradient
    assert y.dtype == torch.bfloat16
    assert float((gradient - right).abs().max()) < 0.03 * float(right.abs().max())


def test_float32_stands_in_only_where_bfloat16_may_be_wrong():
    few, many = torch.zeros(1, 2, 2, 4, 4), torch.zeros(1, 2, 3, 4, 4)
    module, dilated, frozen = Conv3d(2, 2, 3), Conv3d(2, 2, 3, dilation=2), Conv3d(2, 2, 3).requires_grad_(False)
    assert not conv._gradient_may_be_wrong(few, module)
    with torch.autocast("cpu", torch.bfloat16):
        assert conv._gradient_may_be_wrong(few, module)
        assert conv._gradient_may_be_wrong(torch.zeros(1, 1, 6, 9, 9), Conv3d(1, 2, 7))
        for x, layer in ((many, module), (few, dilated), (few, frozen), (few[:, :, :1], module)):
            assert not conv._gradient_may_be_wrong(x, layer)
        with torch.no_grad():
            assert not conv._gradient_may_be_wrong(few, module)
