"""Fit a training into the time that there is: measure a step, then choose the size of its batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from Med3DCore.geometry import triple
from Med3DCore.inference.device import Device
from Med3DCore.networks import build_network
from Med3DCore.training.learning.recipe import StageRecipe, TrainingSettings

# Fewer steps than this teach little, however large they are.
_ENOUGH_STEPS = 60
_SMALLEST = 48
_MULTIPLE = 16


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def fitted(recipe: StageRecipe, seconds: float, device: Device, loss: Loss, labels: int) -> TrainingSettings:
    """The settings with as large a batch as leaves time for enough steps: first fewer, then smaller patches.

    Args:
        recipe: A stage and its settings.
        seconds: Time for its training.
        device: Where it will be trained.
        loss: Of the network's output and a target.
        labels: Channels of the target.
    """
    settings = recipe.training
    seconds_a_voxel = _seconds_a_voxel(recipe, device, loss, labels)
    wanted = min(_ENOUGH_STEPS, settings.steps)
    patch, batch = settings.patch, settings.batch
    while wanted * batch * _voxels(patch) * seconds_a_voxel > seconds:
        smaller = triple(min(n, max(_SMALLEST, n * 3 // 4 // _MULTIPLE * _MULTIPLE)) for n in patch)
        if batch > 1:
            batch -= 1
        elif smaller != patch:
            patch = smaller
        else:
            break
    return replace(settings, patch=patch, batch=batch)


def _seconds_a_voxel(recipe: StageRecipe, device: Device, loss: Loss, labels: int) -> float:
    """Time of a forward and backward pass; of the second one, since the first prepares much. Small, to be quick."""
    network = build_network(recipe.stage.network).train()
    device.place(network)
    size = triple(min(n, _SMALLEST) for n in recipe.training.patch)
    image = torch.zeros((2, 1, *size), device=device.torch_device)
    target = torch.ones((2, labels, *size), dtype=torch.uint8, device=device.torch_device)
    for _ in range(2):
        begin = time.perf_counter()
        with device.autocast():
            outputs = network(image)
        found = loss(outputs, target)
        found.backward()
        float(found.detach())  # a GPU is only now done
        seconds = time.perf_counter() - begin
    return seconds / 2 / _voxels(size)


def _voxels(patch: tuple[int, int, int]) -> int:
    return patch[0] * patch[1] * patch[2]
