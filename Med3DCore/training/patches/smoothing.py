"""Blur, thick slices and grains of noise: each a small matrix along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

_NO_GRAIN = 0.2  # a Gaussian that is narrower changes no voxel


def along_axes(array: torch.Tensor, matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    """Multiply ``[c, z, y, x]`` along z, y and x with a matrix each; the slow axis last."""
    z, y, x = matrices
    planes = y @ (array @ x.T)
    return (z @ planes.flatten(2)).view(len(array), len(z), *planes.shape[2:])


def blur(n: int, sigma: float) -> torch.Tensor:
    """Gaussian blur of ``n`` voxels in a row, sigma in voxels, beyond which the last ones go on, ``[n, n]``."""
    radius = int(np.ceil(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    padded = functional.pad(torch.eye(n)[:, None], (radius, radius), mode="replicate")
    return functional.conv1d(padded, (kernel / kernel.sum())[None, None])[:, 0].T


def grains(noise: torch.Tensor, sigma: float) -> torch.Tensor:
    """White noise ``[1, 1, z, y, x]`` in grains of a Gaussian's size in voxels, as strong as before."""
    if sigma < _NO_GRAIN:
        return noise
    blurs = [blur(n, sigma) for n in noise.shape[2:]]
    middle = [matrix[len(matrix) // 2] for matrix in blurs]
    weaker = math.prod(float(row.square().sum().sqrt()) for row in middle)
    return along_axes(noise[0], blurs)[None] / weaker


def thick_slices(n: int, factor: float) -> torch.Tensor:
    """The mean over slices so many times as thick, and interpolation back to ``n`` slices, ``[n, n]``."""
    coarse = functional.interpolate(torch.eye(n)[None], max(2, round(n / factor)), mode="area")
    return functional.interpolate(coarse, n, mode="linear")[0].T
