"""Learn an encoder from pictures: VDT's supervised pre-training as a task of the training loop (papers.md B1, B2).

A picture ``(3, y, x)`` is a volume of one channel and three slices. The colours change places each time, so the slices
mean the same, and nothing has a stride along z, so three slices are left at the end.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from Med3DCore.inference.device import Device
from Med3DCore.networks import build_network
from Med3DCore.networks.residual_blocks import BasicBlock, Bottleneck
from Med3DCore.progress import Progress
from Med3DCore.system.distributed import Ranks
from Med3DCore.training.learning.task import Task, Validation
from Med3DCore.training.pictures.picture_set import UNKNOWN, Picture, PictureSet
from Med3DCore.training.pictures.recipe import PictureRecipe

SLICES = 3


class PicturePreTraining(Task):
    """Learn the classes of pictures, or of their pixels.

    Args:
        recipe: Encoder and settings.
        pictures: The pictures, and which are held out.
    """

    name = "pre-train on pictures"

    def __init__(self, recipe: PictureRecipe, pictures: PictureSet) -> None:
        self.recipe, self.pictures = recipe, pictures
        self.training, self.held_out = pictures.training, pictures.held_out
        self.network = recipe.network(len(pictures.classes), pictures.has_masks)
        # Not the names of all pictures: who takes out a broken one shall be able to go on.
        views = [list(vars(recipe.views).values()), recipe.label_smoothing, recipe.zero_residual, recipe.held_out]
        self.identity = [self.network, list(pictures.classes), views]
        self._order = lru_cache(2)(self._shuffled)

    def build(self) -> nn.Module:
        """The network, with those taps of the stem at zero that no picture reaches."""
        network = build_network(self.network)
        if self.recipe.zero_residual:
            for block in network.modules():
                if isinstance(block, BasicBlock | Bottleneck):
                    nn.init.zeros_((block.bn2 if isinstance(block, BasicBlock) else block.bn3).weight)
        if not self.recipe.is_flat:
            for encoder in network.encoders():
                stem = encoder.get_submodule("conv1")
                if not isinstance(stem, nn.Conv3d):
                    raise TypeError(f"the encoder's stem is a {type(stem).__name__}")
                zero_unseen_taps(stem)
        return network

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Colours uint8 ``[n, 3, y, x]``, and classes int64 ``[n]`` or ``[n, y, x]``; every picture once an epoch."""
        rng = np.random.default_rng([self.recipe.seed, number])
        batch, count = self.recipe.training.batch, len(self.training)
        chosen = [divmod(number * batch + place, count) for place in range(batch)]
        drawn = [self.training[self._order(epoch)[place]] for epoch, place in chosen]
        return _stacked([self.recipe.views.training_view(self.pictures.source, one, rng) for one in drawn])

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor], device: Device) -> Tensor:
        """Cross-entropy with label smoothing, of masks of all three slices; pixels of the value 255 do not count."""
        images, target = batch
        logits = self._logits(network, images, device)
        target = target.to(device.torch_device)
        if self.pictures.has_masks:
            target = target[:, None].expand(-1, logits.shape[2], -1, -1)
            if (target == UNKNOWN).all():
                return logits.sum() * 0
        return functional.cross_entropy(
            logits, target, ignore_index=UNKNOWN, label_smoothing=self.recipe.label_smoothing
        )

    def validate(self, network: nn.Module, device: Device, progress: Progress) -> Validation:
        """The part of the held-out pictures whose class is right, each class in the details; of masks the mean Dice."""
        batch = self.recipe.training.batch
        groups = [self.held_out[start : start + batch] for start in range(0, len(self.held_out), batch)]
        counts = np.zeros((3, len(self.pictures.classes)), dtype=np.int64)
        for found in Ranks.here().spread(lambda group: self._counts(network, group, device, progress), groups):
            counts += found
        if not counts[1].any():
            return Validation()
        right, shown, said = counts
        known = {name: i for i, name in enumerate(self.pictures.classes) if shown[i]}
        if self.pictures.has_masks:
            dice = {name: round(float(2 * right[i] / (shown[i] + said[i])), 4) for name, i in known.items()}
            return Validation(float(np.mean(list(dice.values()))), {"Dice": dice})
        accuracy = {name: round(float(right[i] / shown[i]), 4) for name, i in known.items()}
        return Validation(float(right.sum() / shown.sum()), {"accuracy": accuracy})

    def _counts(self, network: nn.Module, group: list[Picture], device: Device, progress: Progress) -> np.ndarray:
        """For each class how many pictures or pixels are rightly called so, are so, are called so: int64 ``[3, c]``."""
        progress.check()
        images, target = _stacked([self.recipe.views.checking_view(self.pictures.source, one) for one in group])
        with torch.inference_mode():
            logits = self._logits(network, images, device)
        answer = (logits.mean(2) if self.pictures.has_masks else logits).argmax(1).cpu()
        seen = target != UNKNOWN if self.pictures.has_masks else torch.ones_like(target, dtype=torch.bool)
        answer, target = answer[seen], target[seen]
        parts = (target[answer == target], target, answer)
        return np.stack([torch.bincount(part, minlength=len(self.pictures.classes)).numpy() for part in parts])

    def _logits(self, network: nn.Module, images: Tensor, device: Device) -> Tensor:
        """Float32 ``[n, classes]``, or of masks ``[n, classes, z, y, x]``."""
        views = self.recipe.views
        images = (images.to(device.torch_device).float() - views.mean) / views.deviation
        volumes = images[:, :, None] if self.recipe.is_flat else images[:, None]
        with device.autocast():
            logits = network(volumes.contiguous(memory_format=torch.channels_last_3d))
        return logits.float()

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.recipe.seed, epoch, 1]).permutation(len(self.training))


def zero_unseen_taps(stem: nn.Conv3d) -> None:
    """Set those taps along z to zero that lie on padding alone when there are three slices.

    They never get a gradient, so random values would stay as they are and be noise in every volume of more slices. From
    zero neither weight decay nor momentum moves them: after the transfer the stem does what it learned, and they learn.
    """
    middle = stem.kernel_size[0] // 2
    with torch.no_grad():
        stem.weight[:, :, : max(0, middle - SLICES + 1)] = 0
        stem.weight[:, :, middle + SLICES :] = 0


def _stacked(views: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    images = torch.from_numpy(np.stack([image for image, _ in views]))
    return images, torch.from_numpy(np.stack([target for _, target in views])).long()
