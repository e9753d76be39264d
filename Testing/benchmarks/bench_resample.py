"""Resampling a scan to the network's grid and back: our weights, SimpleITK, and torch, side by side.

    python Testing/benchmarks/bench_resample.py

On a 512 x 512 x 400 scan. "plain" samples linearly; "averaging" also averages over the target voxel, as our
``resample`` does, which SimpleITK does by Gaussian smoothing first and torch not at all in 3D.
Prints seconds (best of three) and the largest difference from our result where the methods are the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
import torch

from Med3DCore.geometry import Geometry
from Med3DCore.preprocessing import resample, world_grid
from Med3DCore.volume import Volume

NATIVE = Geometry((512, 512, 400), (0.75, 0.75, 1.0))


def main() -> None:
    """Time all."""
    array = np.random.default_rng(0).integers(-1000, 1000, NATIVE.shape, dtype=np.int16)
    image = Volume(array, NATIVE).to_sitk()
    print("from the scan to the network's grid")
    for spacing in (5.0, 2.5):
        grid = world_grid(NATIVE, (spacing,) * 3)
        show(f"  {spacing} mm, ours, averaging", lambda grid=grid: resample(array, NATIVE, grid))
        show(f"  {spacing} mm, SimpleITK, plain", lambda grid=grid: to_grid(image, grid))
        show(f"  {spacing} mm, SimpleITK, averaging", lambda grid=grid: to_grid(smoothed(image, grid), grid))
        show(f"  {spacing} mm, torch, plain", lambda grid=grid: interpolate(array, grid.shape))
    print("from the network's grid to the scan's (2.5 mm, one label)")
    grid = world_grid(NATIVE, (2.5, 2.5, 2.5))
    coarse = np.random.default_rng(0).random(grid.shape, np.float32)
    ours = show("  ours", lambda: resample(coarse, grid, NATIVE))
    itk = show("  SimpleITK", lambda: to_grid(Volume(coarse, grid).to_sitk(), NATIVE))
    show("  torch", lambda: interpolate(coarse, NATIVE.shape))
    inner = (slice(5, -5),) * 3
    print(f"  largest difference, ours and SimpleITK: {np.abs(ours - itk)[inner].max():.1e}")


def show(name: str, work: Callable[[], np.ndarray], repeats: int = 3) -> np.ndarray:
    """Print the best time of some work; returns its result."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begin)
    print(f"{name:36}{min(seconds):7.2f} s")
    return result


def to_grid(image: sitk.Image, grid: Geometry) -> np.ndarray:
    """Linear sampling by SimpleITK."""
    result = sitk.Resample(
        image,
        grid.size,
        sitk.Transform(),
        sitk.sitkLinear,
        grid.origin,
        grid.spacing,
        grid.direction,
        0,
        sitk.sitkFloat32,
    )
    return sitk.GetArrayFromImage(result)


def smoothed(image: sitk.Image, grid: Geometry) -> sitk.Image:
    """Gaussian smoothing about as wide as our triangle."""
    return sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), [s / 2.45 for s in grid.spacing])


def interpolate(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Linear sampling by torch."""
    tensor = torch.from_numpy(array.astype(np.float32))[None, None]
    return torch.nn.functional.interpolate(tensor, shape, mode="trilinear")[0, 0].numpy()


if __name__ == "__main__":
    main()
