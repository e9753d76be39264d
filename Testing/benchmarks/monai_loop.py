"""MONAI's own training loop, written plainly, as a peer of :mod:`bench_training`: patches cut once and kept.

``RandCropByPosNegLabeld`` cuts some patches of each prepared case, ``CacheDataset`` keeps them, then ``DiceCELoss``,
backward and AdamW in float32, with the network as torch builds it. So without augmentation a step draws nothing at all;
ours cuts and changes every patch anew. With augmentation each kept patch is turned and zoomed (``RandAffined``, as far
as ours), blurred and made noisy (as often as ours).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.losses import DiceCELoss
from monai.transforms import (
    Compose,
    EnsureTyped,
    RandAffined,
    RandCropByPosNegLabeld,
    RandGaussianNoised,
    RandGaussianSmoothd,
)
from torch import nn

from Med3DCore.preprocessing.intensity import Intensity
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.patches.augmentation import Augmentation

_KEYS = ("image", "label")
_PATCHES = 8  # of each case


def monai_steps(
    network: nn.Module,
    cases: Sequence[Prepared],
    intensity: Intensity,
    size: int,
    batch: int,
    augmentation: Augmentation | None,
    device: torch.device,
) -> Iterator[None]:
    """Take kept patches, perhaps augment, forward, Dice and cross-entropy, backward, AdamW.

    Args:
        network: As torch builds it, on the device.
        cases: What is learned from, the same as ours.
        intensity: Its normalisation, done once before it is cached.
        size: Side of the patch.
        batch: Patches a step.
        augmentation: Ours, whose strength is taken over; None for none.
        device: Where to compute.
    """
    data = [
        {
            "image": intensity.apply(np.array(case.image), case.statistics)[None],
            "label": (np.array(case.target) == 1).astype(np.uint8),
        }
        for case in cases
    ]
    crop = RandCropByPosNegLabeld(
        _KEYS, label_key="label", spatial_size=[size] * 3, pos=3, neg=2, num_samples=_PATCHES, allow_smaller=False
    )
    patches = [{key: patch[key] for key in _KEYS} for entry in map(EnsureTyped(_KEYS), data) for patch in crop(entry)]
    change = [] if augmentation is None else _augmenting(augmentation, size)
    kept = CacheDataset(patches, Compose(change), progress=False)
    loader = DataLoader(kept, batch_size=batch, shuffle=True, num_workers=0)
    loss_function = DiceCELoss(sigmoid=True)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    while True:
        for drawn in loader:
            optimizer.zero_grad()
            loss = loss_function(network(drawn["image"].to(device)), drawn["label"].to(device).float())
            loss.backward()
            optimizer.step()
            loss.item()
            yield


def _augmenting(ours: Augmentation, size: int) -> list:
    """Affine, blur and noise as strong and as often as ours."""
    angle, zoom = float(np.deg2rad(ours.rotation)), ours.scale - 1
    return [
        RandAffined(
            _KEYS,
            prob=1.0,
            rotate_range=[angle] * 3,
            scale_range=[zoom] * 3,
            spatial_size=[size] * 3,
            mode=("bilinear", "nearest"),
            padding_mode="border",
        ),
        RandGaussianSmoothd("image", (0.3, 1.2), (0.3, 1.2), (0.3, 1.2), prob=ours.probability),
        RandGaussianNoised("image", prob=ours.probability, std=ours.noise),
    ]
