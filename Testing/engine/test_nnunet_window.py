"""Slices of the network's grid are handed on when they are finished: the same mean and labels, in little memory."""

import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from Med3DCore.errors import Cancelled
from Med3DCore.inference.device import cpu
from Med3DCore.inference.nnunet.logits import Member
from Med3DCore.inference.nnunet.restore import Restorer
from Med3DCore.inference.nnunet.tiling import MONAI, NNUNET
from Med3DCore.inference.nnunet.window import WindowMean
from Med3DCore.inference.nnunet.winners import painted_regions
from Med3DCore.preprocessing.nnunet.axis import neighbours
from Med3DCore.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
CPU = replace(cpu(""), dtype=torch.float32)


def places(patch):
    """A network that gives what it gets, and its place in the patch."""
    return torch.cat([patch, torch.arange(patch.shape[2]).view(1, 1, -1, 1, 1).expand_as(patch).float()], dim=1)


@pytest.mark.parametrize("tiling", [NNUNET, MONAI])
@pytest.mark.parametrize("shape", [(50, 9, 20), (8, 16, 12), (3, 5, 30), (17, 12, 12), (101, 12, 12)])
def test_finished_slices_are_the_weighted_mean_of_all_patches(tiling, shape):
    patch, array = (8, 12, 12), np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    found = np.concatenate(list(WindowMean([Member(places, 2)], array, patch, CPU, 2, (), tiling)), axis=1)
    assert found.shape == (2, *shape)
    np.testing.assert_allclose(found[0], array[0], atol=1e-6)
    before = max(0, patch[0] - shape[0]) // 2
    starts, weight = tiling.starts(max(shape[0], patch[0]), patch[0]), tiling.weights(patch)
    if tiling is NNUNET:  # whose weights are a product, so that places depend on z alone
        along = weight[:, 6, 6].astype(float)
        total, weights = np.zeros((2, max(shape[0], patch[0])))
        for start in starts:
            total[start : start + 8] += along * np.arange(8)
            weights[start : start + 8] += along
        expected = (total / weights)[before : before + shape[0]]
        np.testing.assert_allclose(found[1], np.broadcast_to(expected[:, None, None], shape), atol=1e-4)


@pytest.mark.parametrize(
    ("cells", "voxels", "order"), [(40, 100, 1), (40, 17, 1), (40, 40, 1), (40, 90, 0), (40, 1, 1)]
)
@pytest.mark.parametrize("together", [1, 7, 40])
def test_slices_that_come_bit_by_bit_give_the_labels_of_the_whole(cells, voxels, order, together):
    maps = np.random.default_rng(0).standard_normal((3, cells, 6, 7)).astype(np.float32)
    axes = [neighbours(cells, voxels, order), neighbours(6, 13, 1), neighbours(7, 11, 1)]
    target, most = np.full((voxels, 13, 11), 255, np.uint8), []

    def decide(held, local):
        most.append(held.shape[1])
        return painted_regions(list(held), local)

    restorer = Restorer(decide, axes, target)
    parts = []
    for first in range(0, cells, together):
        restorer.add(maps[:, first : first + together])
        parts.append(restorer.part)
    assert parts == sorted(parts) and parts[-1] == 1
    assert np.array_equal(target, painted_regions(list(maps), axes))
    assert max(most) <= together + max(2, cells // voxels + 1)


def test_a_row_of_patches_can_be_cancelled():
    mean = WindowMean([Member(places, 2)], np.zeros((1, 8, 8, 80), np.float32), (8, 8, 8), CPU, 2)
    asked = []
    with pytest.raises(Cancelled):
        mean.run(0, Progress(is_cancelled=lambda: asked.append(0) or len(asked) > 3))
    assert mean.rows == 1 and len(asked) == 4


def test_the_maps_of_a_patch_are_gone_before_the_next_ones_are_made():
    made = []

    def body(patch):
        assert not [maps for maps in made if maps() is not None]
        maps = patch.numpy().copy()
        made.append(weakref.ref(maps))
        return torch.from_numpy(maps)

    array = np.zeros((1, 20, 8, 20), np.float32)
    assert sum(part.shape[1] for part in WindowMean([Member(body, 1)], array, (8, 8, 8), CPU, 1)) == 20
    assert len(made) == 16


PEAK = """
import resource, sys
from dataclasses import replace
import numpy as np
import torch
from Med3DCore.inference.device import cpu
from Med3DCore.inference.nnunet.logits import Member
from Med3DCore.inference.nnunet.window import WindowMean
array, member = np.zeros((1, int(sys.argv[1]), 64, 64), np.float32), Member(lambda x: x.expand(1, 64, -1, -1, -1), 64)
mean = WindowMean([member], array, (16, 64, 64), replace(cpu(""), dtype=torch.float32), 64)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert sum(part.shape[1] for part in mean) == len(array[0])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory otherwise")
def test_a_long_scan_takes_the_memory_of_a_short_one():
    command = [sys.executable, "-c", PEAK, "400"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 150  # MB; all slices are 420
