"""The last layer of a network with many classes runs once, at the end; the logits stay the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from Med3DCore.inference.device import cpu
from Med3DCore.inference.nnunet.logits import Logits, without_last_layer
from Med3DCore.inference.nnunet.window import WindowMean
from Med3DCore.networks import build_network

PATCH = (8, 16, 16)
CPU = replace(cpu(""), dtype=torch.float32)


def network(classes, members=1):
    """A tiny network of nnU-Net's kind: four maps before its last layer."""
    torch.manual_seed(classes)
    kernels, strides = [[3, 3, 3]] * 2, [[1, 1, 1], [2, 2, 2]]
    encoder = {"name": "plain_conv", "channels": [4, 8], "kernels": kernels, "strides": strides, "convs": [1, 1]}
    decoder = {"name": "nnunet", "kernels": kernels[:1], "convs": [1]}
    together = {"members": members} if members > 1 else {}
    return build_network({"encoder": encoder, "decoder": decoder, "out_channels": classes, **together}).eval()


def mean(network, array, channels, axes=(), patch=PATCH):
    """Of all slices."""
    return np.concatenate(list(WindowMean(network, array, patch, CPU, channels, axes)), axis=1)


@pytest.mark.parametrize("axes", [(), (0, 2)])
def test_the_last_layer_on_the_mean_gives_the_mean_of_the_logits(axes):
    array = np.random.default_rng(0).standard_normal((1, 13, 20, 25)).astype(np.float32)
    whole = network(9)
    body, maps, last = without_last_layer(whole, 9)
    assert maps == 4
    expected = mean(whole, array, 9, axes)
    found = Logits(mean(body, array, maps, axes), last)
    assert np.abs(found.slab(slice(2, 11)) - expected[:, 2:11]).max() < 1e-5 < np.abs(expected).max()
    assert np.array_equal(Logits(expected).slab(slice(3, 5)), expected[:, 3:5])


@pytest.mark.parametrize("whole", [network(4), network(9, members=2), nn.Conv3d(1, 9, 1)])
def test_networks_that_are_run_as_a_whole(whole):
    assert without_last_layer(whole, 9 if not hasattr(whole, "decoder") else 4)[0] is whole
