"""Convolutions that are written over what they convolve: the same numbers in less memory."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from Med3DCore.networks import build_network, slabs
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.slabs import can_be_written_over, convolve_over

ROOT = Path(__file__).resolve().parents[2]


def made(*shape):
    """A map of some channels, which lie next to each other."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("depth", [1, 2, 9, 21])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 3), (7, 1, 5)])
@pytest.mark.parametrize("joined", [0, 3])
@torch.inference_mode()
def test_a_map_becomes_its_convolution(depth, kernel, joined):
    x, other = made(1, 4, depth, 6, 5), made(1, joined, depth, 6, 5)
    conv = Conv3d(4 + joined, 4, kernel, padding=tuple(n // 2 for n in kernel))
    expected = conv(torch.cat([other, x], dim=1))
    found = convolve_over(x, conv, (lambda first, stop: other[:, :, first:stop]) if joined else None)
    assert found.data_ptr() == x.data_ptr()
    torch.testing.assert_close(found, expected)


def test_what_cannot_be_written_over(monkeypatch):
    monkeypatch.setattr(slabs, "_LARGE", 0)
    x, conv = made(1, 4, 8, 6, 5), Conv3d(4, 4, 3, padding=1)
    assert not can_be_written_over(x, conv)  # a gradient may be wanted
    with torch.inference_mode():
        assert can_be_written_over(x, conv)
        reaches_too_far = Conv3d(4, 4, (9, 1, 1), padding=(4, 0, 0))
        for other in (Conv3d(4, 5, 3, padding=1), Conv3d(4, 4, 3), Conv3d(4, 4, 3, 2, padding=1), reaches_too_far):
            assert not can_be_written_over(x, other)
        assert not can_be_written_over(x.contiguous(), conv)
        assert not can_be_written_over(made(2, 4, 8, 6, 5), conv)
        monkeypatch.setattr(slabs, "_LARGE", x.numel())
        assert not can_be_written_over(x, conv)


def described(encoder, size):
    """A network of nnU-Net's kind with steps that are not the same along all axes."""
    kernels, strides, twos = [[1, 3, 3], [3, 3, 3], [3, 3, 3]], [[1, 1, 1], [1, 2, 2], [2, 2, 2]], [2, 2, 2]
    count = {"plain_conv": "convs", "residual": "blocks"}[encoder]
    made = {"name": encoder, "channels": [size, 6, 8], "kernels": kernels, "strides": strides, count: twos}
    return {
        "encoder": made,
        "decoder": {"name": "nnunet", "kernels": kernels[1::-1], "convs": [2, 2]},
        "out_channels": 3,
    }


@pytest.mark.parametrize(("encoder", "size"), [("plain_conv", (13, 22, 19)), ("residual", (12, 24, 20))])
def test_a_network_says_the_same(monkeypatch, encoder, size):
    torch.manual_seed(0)
    network, x = build_network(described(encoder, 4)).eval(), torch.randn(1, 1, *size)
    for parameter in network.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.to(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        expected = network(x)
        monkeypatch.setattr(slabs, "_LARGE", 0)
        monkeypatch.setattr(slabs, "_SLICES", 4)
        torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-4)


PEAK = """
import resource
import torch
from test_networks_slabs import described
from Med3DCore.inference.device import cpu
from Med3DCore.networks import build_network
network, x = build_network(described("plain_conv", 16)).eval(), torch.zeros(1, 1, 64, 96, 96)
cpu("").exact.place(network)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
with torch.inference_mode():
    network(x[..., :32, :32])
    before = peak()
    network.decoder.finest(network.encoder.features(x), x.shape[2:])
print((peak() - before) / (16 * x.nbytes))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory otherwise")
def test_a_patch_takes_little_more_memory_than_one_of_its_finest_maps():
    path = f"{ROOT}:{Path(__file__).parent}"
    done = subprocess.run([sys.executable, "-c", PEAK], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 2.5  # 5.9 as wholes
