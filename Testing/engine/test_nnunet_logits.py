"""The last layer of a network with many classes runs once, at the end; the logits stay the same."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from Med3DCore.inference.device import cpu
from Med3DCore.inference.nnunet.logits import Logits, Member, members_of, without_last_layer
from Med3DCore.inference.nnunet.window import WindowMean
from Med3DCore.networks import build_network

ROOT = Path(__file__).resolve().parents[2]
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
    return np.concatenate(list(WindowMean([Member(network, channels)], array, patch, CPU, channels, axes)), axis=1)


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


# "meta" stands for a GPU: any device but the CPU.
@pytest.mark.parametrize(("whole", "classes"), [(network(4).to("meta"), 4), (nn.Conv3d(1, 9, 1), 9)])
def test_networks_that_are_run_as_a_whole(whole, classes):
    assert without_last_layer(whole, classes) == (whole, classes, None)


@pytest.mark.parametrize("axes", [(), (0, 2)])
@pytest.mark.parametrize("classes", [3, 4])
@pytest.mark.parametrize("device", [CPU, replace(CPU, dtype=torch.bfloat16)])
def test_logits_that_are_no_more_than_the_maps_are_kept_and_made_slice_by_slice(classes, axes, device):
    array = np.random.default_rng(0).standard_normal((1, 13, 20, 25)).astype(np.float32)
    whole = network(classes)
    members, kept, last = members_of(whole, classes, as_logits=False)
    assert (members[0].maps, kept, last) == (4, classes, None)
    found = np.concatenate(list(WindowMean(members, array, PATCH, device, kept, axes)), axis=1)
    assert found.dtype == np.float32
    expected = mean(whole, array, classes, axes)
    assert np.abs(found - expected).max() < (1e-5 if device is CPU else 0.05) < np.abs(expected).max()


@pytest.mark.parametrize("axes", [(), (0, 2)])
@pytest.mark.parametrize("classes", [3, 9])
def test_networks_that_answer_together_give_the_mean_of_their_logits(classes, axes):
    array = np.random.default_rng(0).standard_normal((1, 13, 20, 25)).astype(np.float32)
    together = network(classes, members=3)
    members, kept, last = members_of(together, classes, as_logits=False)
    assert (len(members), kept, last) == (3, classes, None)
    assert [member.maps for member in members] == [4] * 3
    found = np.concatenate(list(WindowMean(members, array, PATCH, CPU, kept, axes)), axis=1)
    expected = np.mean([mean(each, array, classes, axes) for each in together.members], axis=0)
    assert np.abs(found - expected).max() < 1e-5 < np.abs(expected).max()


def test_logits_that_must_be_kept_are_made_slice_by_slice():
    array = np.random.default_rng(0).standard_normal((1, 13, 20, 25)).astype(np.float32)
    whole = network(9)
    members, kept, last = members_of(whole, 9, as_logits=True)
    assert (members[0].maps, kept, last) == (4, 9, None)
    found = np.concatenate(list(WindowMean(members, array, PATCH, CPU, kept)), axis=1)
    np.testing.assert_allclose(found, mean(whole, array, 9), atol=1e-5)
    alone, kept, last = members_of(whole, 9, as_logits=False)
    assert (alone[0].last, kept) == (None, 4) and last is not None


PEAK = """
import resource, sys
from dataclasses import replace
import numpy as np
import torch
from test_nnunet_logits import CPU, network
from Med3DCore.inference.nnunet.logits import members_of
from Med3DCore.inference.nnunet.window import WindowMean
classes, members = map(int, sys.argv[1:])
members, kept, _ = members_of(network(classes, members), classes, as_logits=True)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def run(*shape):
    for part in WindowMean(members, np.zeros((1, *shape), np.float32), shape, CPU, kept):
        pass
run(8, 16, 16)
before = peak()
run(48, 64, 64)
print((peak() - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory otherwise")
def test_five_networks_take_the_memory_of_one():
    def peak(members):
        command = [sys.executable, "-c", PEAK, "100", str(members)]
        path = f"{ROOT}:{Path(__file__).parent}"
        done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return float(done.stdout)

    assert peak(5) < peak(1) + 20  # MB; the logits of a patch are 79 a network
