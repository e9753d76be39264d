"""Run a network over a volume of any size, window by window."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch

from Med3DCore.geometry import triple
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.inference.device import Device

Shape = tuple[int, int, int]

LEAST_WINDOW = 16
"""Windows are rounded down to multiples of it; in voxels."""


def sliding_window(
    network: torch.nn.Module,
    array: np.ndarray,
    window: Shape,
    device: Device,
    activation: str = "sigmoid",
    overlap: float = 0.5,
    batch: int = 1,
    mirror_axes: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> np.ndarray:
    """Class probabilities of a whole volume.

    Windows overlap and are blended with Gaussian weights, so that a border of a window counts little. A volume that
    fits into one window is run in one piece.

    Args:
        network: Maps ``[n, channels, z, y, x]`` to logits ``[n, c, z, y, x]``; in evaluation mode, on the device.
        array: Normalised volume, float32 ``[z, y, x]``, or ``[channels, z, y, x]``.
        window: Largest window ``(z, y, x)`` in voxels.
        device: Where to run, and in which precision.
        activation: ``"sigmoid"`` for independent labels, ``"softmax"`` for exclusive classes.
        overlap: Part of a window shared with its neighbour, 0 <= overlap < 1.
        batch: Windows per forward pass.
        mirror_axes: Also average over mirroring along these axes (0=z, 1=y, 2=x) and their combinations.
        progress: Told after each batch; may cancel.

    Returns:
        float32 probabilities ``[c, z, y, x]``.
    """
    progress = progress or Progress()
    padded, inner = _pad(array if array.ndim == 4 else array[None], window)
    shape = triple(padded.shape[1:])
    size = fitting_window(window, shape)
    corners = list(product(*(starts(n, w, overlap) for n, w in zip(shape, size, strict=True))))
    flips = [[a + 2 for a in axes] for axes in combinations(mirror_axes)]
    weight = None if len(corners) == 1 else torch.from_numpy(_gaussian(size))
    total: torch.Tensor | None = None
    for first in range(0, len(corners), batch):
        progress.update(first / len(corners))
        chosen = [
            tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True)) for corner in corners[first:][:batch]
        ]
        patches = torch.from_numpy(np.stack([padded[(slice(None), *place)] for place in chosen]))
        probabilities = _predict(network, patches, device, activation, flips)
        if weight is None:
            return probabilities[0].numpy()[(slice(None), *inner)]
        if total is None:
            total = torch.zeros((probabilities.shape[1], *shape))
            weights = torch.zeros(shape)
        for place, probability in zip(chosen, probabilities, strict=True):
            total[(slice(None), *place)] += probability * weight
            weights[place] += weight
    if total is None:
        raise ValueError("there must be a window")
    return (total / weights).numpy()[(slice(None), *inner)]


def fitting_window(window: Shape, shape: Shape) -> Shape:
    """The window that a volume of ``shape`` is really run in: no larger than the volume, rounded as networks need."""
    return triple(min(w, -(-n // LEAST_WINDOW) * LEAST_WINDOW) for w, n in zip(_rounded(window), shape, strict=True))


@torch.inference_mode()
def _predict(
    network: torch.nn.Module, patches: torch.Tensor, device: Device, activation: str, flips: list[list[int]]
) -> torch.Tensor:
    patches = patches.to(device.torch_device, memory_format=torch.channels_last_3d)
    total: torch.Tensor | None = None
    for axes in flips:
        with device.autocast():
            logits = network(patches.flip(axes) if axes else patches)
        logits = (logits.flip(axes) if axes else logits).float()
        probabilities = logits.sigmoid_() if activation == "sigmoid" else logits.softmax(dim=1)
        total = probabilities if total is None else total.add_(probabilities)
    if total is None:
        raise ValueError("there must be a flip, if only that of no axis")
    return (total / len(flips)).cpu()


def _rounded(window: Shape) -> Shape:
    return triple(max(LEAST_WINDOW, n // LEAST_WINDOW * LEAST_WINDOW) for n in window)


def _pad(array: np.ndarray, window: Shape) -> tuple[np.ndarray, tuple[slice, slice, slice]]:
    """Grow each axis of ``[c, z, y, x]`` to a multiple with the volume's own border, half on each side."""
    shape = array.shape[1:]
    extra = [-n % LEAST_WINDOW if n < w else max(0, w - n) for n, w in zip(shape, _rounded(window), strict=True)]
    before = [e // 2 for e in extra]
    padded = np.pad(array, [(0, 0), *((b, e - b) for b, e in zip(before, extra, strict=True))], mode="edge")
    return padded, triple(slice(b, b + n) for b, n in zip(before, shape, strict=True))


def starts(length: int, window: int, overlap: float) -> list[int]:
    """Evenly spread window starts that cover the axis with at least the wanted overlap."""
    if length <= window:
        return [0]
    count = int(np.ceil((length - window) / (window * (1 - overlap)))) + 1
    return [int(v) for v in np.rint(np.linspace(0, length - window, count))]


def _gaussian(size: Shape) -> np.ndarray:
    """Weights ``[z, y, x]`` in (0, 1], highest in the middle; sigma is an eighth of the window as in nnU-Net."""
    axes = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2) for n in size]
    weights = axes[0][:, None, None] * axes[1][:, None] * axes[2]
    return np.maximum(weights, 1e-4).astype(np.float32)


def combinations(axes: tuple[int, ...]) -> list[list[int]]:
    """All selections of some axes, that of none first."""
    return [
        [a for a, used in zip(axes, chosen, strict=True) if used] for chosen in product((False, True), repeat=len(axes))
    ]
