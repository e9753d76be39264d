"""Convolutions by fewer products: the same numbers but for rounding."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.slabs import convolve_over
from Med3DCore.networks.winograd import Winograd


def made(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 1, 5)])
@pytest.mark.parametrize("count", [1, 6, 7])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_slices_are_convolved(kernel, count, bias):
    conv = Conv3d(6, 4, kernel, bias=bias)
    slices, target = made(10, 5, 7, 6), torch.full((count, 5, 7, 4), torch.nan)
    Winograd(conv, (5, 7)).write(target, slices)
    of_bias = conv.bias.double() if bias else None
    padding = (0, kernel[1] // 2, kernel[2] // 2)
    exact = F.conv3d(slices.permute(3, 0, 1, 2)[None].double(), conv.weight.double(), of_bias, padding=padding)
    torch.testing.assert_close(target.double(), exact[0].permute(1, 2, 3, 0)[:count], atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_rounding_stays_that_of_float32():
    conv = Conv3d(32, 32, 3, padding=1)
    x = made(1, 32, 12, 24, 24).contiguous(memory_format=torch.channels_last_3d)
    exact = F.conv3d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
    directly = conv(x) - exact
    found = convolve_over(x, conv) - exact
    assert not torch.equal(found, directly)  # the other way was taken
    assert found.std() < 3.5 * directly.std()


@torch.inference_mode()
def test_who_takes_it():
    x = made(1, 8, 6, 5, 5)
    assert Winograd.takes(x, Conv3d(8, 8, 3))
    assert not Winograd.takes(x, Conv3d(8, 8, (1, 3, 3)))
    assert not Winograd.takes(x, Conv3d(8, 8, 3, groups=2))
    assert not Winograd.takes(x.bfloat16(), Conv3d(8, 8, 3).bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert not Winograd.takes(x, Conv3d(8, 8, 3))
