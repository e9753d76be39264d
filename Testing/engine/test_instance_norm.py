"""The instance norm of nnU-Net's networks is torch's, also where it works in pieces and in place."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from Med3DCore.networks import instance_norm
from Med3DCore.networks.instance_norm import InstanceNormActivation


def layer(channels, slope):
    torch.manual_seed(0)
    made = InstanceNormActivation(channels, slope)
    torch.nn.init.normal_(made.weight)
    torch.nn.init.normal_(made.bias)
    return made


def expected(x, made):
    y = F.instance_norm(x.double(), None, None, made.weight.double(), made.bias.double(), eps=made.eps)
    return y if made.slope is None else F.leaky_relu(y, made.slope)


@pytest.mark.parametrize("slope", [0.01, 0.0, None])
@pytest.mark.parametrize("shape", [(1, 6, 9, 10, 11), (1, 1, 4, 5, 6), (1, 6, 1, 1, 2), (2, 3, 4, 5, 6)])
def test_it_is_torchs(shape, slope, monkeypatch):
    monkeypatch.setattr(instance_norm, "_PIECE", 500)  # several pieces, the last one smaller
    made = layer(shape[1], slope)
    x = 3 * torch.randn(shape) + 40  # a mean far from zero, as a variance of squares alone would not bear
    for order in (torch.channels_last_3d, torch.contiguous_format):
        with torch.inference_mode():
            found = made(x.clone(memory_format=order))
        assert torch.allclose(found.double(), expected(x, made), atol=1e-4)


def test_the_first_piece_may_differ_from_the_others(monkeypatch):
    monkeypatch.setattr(instance_norm, "_PIECE", 100)
    made = layer(4, 0.01)
    x = torch.randn(1, 4, 8, 8, 8)
    x[:, :, :2] = 1000.0  # as air in the first slices
    with torch.inference_mode():
        found = made(x.clone(memory_format=torch.channels_last_3d))
    assert torch.allclose(found.double(), expected(x, made), atol=1e-3)


def test_bfloat16_is_measured_in_float32():
    made = layer(8, 0.01)
    x = (torch.randn(1, 8, 16, 16, 16) + 2).bfloat16().to(memory_format=torch.channels_last_3d)
    wanted = expected(x, made)
    with torch.inference_mode():
        found = made(x)
    assert found.dtype == torch.bfloat16 and (found.double() - wanted).abs().max() < 0.02


def test_gradients_reach_the_input_and_what_is_learned():
    made = layer(3, 0.01)
    x = torch.randn(1, 3, 4, 4, 4).to(memory_format=torch.channels_last_3d).requires_grad_()
    made(x).square().sum().backward()
    assert x.grad.abs().sum() > 0 and made.weight.grad.abs().sum() > 0 and made.bias.grad.abs().sum() > 0
