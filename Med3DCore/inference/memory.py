"""Plan the windows so that they fit into the memory that is free."""

from __future__ import annotations

import numpy as np
import torch

from Med3DCore.errors import ResourceError
from Med3DCore.geometry import Geometry, triple
from Med3DCore.inference.device import Device
from Med3DCore.io.memory import free_memory
from Med3DCore.volume import Volume

Shape = tuple[int, int, int]

# Feature maps of the finest level that are alive at once in a skip decoder: stem, its batch-normed copy, the joined
# maps and their convolution. Measured with the peak of resident memory; see docs/decisions.md.
_LIVE_MAPS = 6
# The lung decoder ends with these channels at full resolution: its last transposed and plain convolution.
_LUNG_DECODER_CHANNELS = {"halving": 64 + 32, "literal": 1024 + 512}
_SMALLEST = 48
# Where the system does not tell.
_ASSUMED_BYTES = 2 << 30


def require_maps(grid: Geometry, channels: int, volume: Volume) -> None:
    """Stop before a scan is brought to a grid whose maps do not fit.

    Alive are for each channel the sum of windows, the probabilities and the numbers of the pieces while it is cleaned;
    and once the scan, a padded copy of it, the weights of the sum, and what is cleaned away.

    Args:
        grid: What the network works on, all windows together.
        channels: Output channels.
        volume: The scan, for the message.

    Raises:
        ResourceError: Less memory is free.
    """
    needed = 4 * (4 + 3 * channels) * int(np.prod(grid.size, dtype=np.float64))
    free = free_memory()
    if free is not None and needed > free:
        low, high = volume.geometry.bounds()
        extent = " x ".join(f"{length:.0f}" for length in high - low)
        raise ResourceError(
            f"{volume.name} is {extent} mm large, for which {needed / 1e9:.1f} GB of memory are needed "
            f"but {free / 1e9:.1f} GB are free; crop it, or correct its spacing if no patient is so large."
        )


def free_bytes(device: Device) -> int:
    """Memory that a network may take on a device, in bytes."""
    if device.torch_device.type == "cuda":
        return torch.cuda.mem_get_info(device.torch_device)[0]
    free = free_memory()
    return _ASSUMED_BYTES if free is None else free


def window_bytes(network: dict, window: Shape, device: Device) -> int:
    """Estimate of the memory that one window takes in a forward pass.

    Args:
        network: Description of the network.
        window: Window (z, y, x) in voxels.
        device: Where and in which precision.
    """
    encoder = network["encoder"]
    at_stem = np.prod(np.divide(window, encoder.get("stem_stride", 2)))
    channels = encoder.get("width", 64)
    itemsize = torch.empty(0, dtype=device.dtype).element_size()
    logits = network["out_channels"] * np.prod(window) * 4 * 2
    decoder = network["decoder"]
    climbed = _LUNG_DECODER_CHANNELS[decoder.get("preset", "halving")] if decoder["name"] == "lung" else 0
    return int(at_stem * channels * itemsize * _LIVE_MAPS + climbed * np.prod(window) * itemsize + logits)


def plan_window(network: dict, window: Shape, device: Device, share: float = 0.6) -> Shape:
    """The model's window, or a smaller one that fits.

    Raises:
        ResourceError: Not even the smallest window fits.
    """
    limit = free_bytes(device) * share
    planned = window
    while window_bytes(network, planned, device) > limit:
        planned = smaller_window(planned)
    return planned


def smaller_window(window: Shape) -> Shape:
    """About half of a window: its longest side shortened.

    Raises:
        ResourceError: It is already the smallest.
    """
    longest = int(np.argmax(window))
    if window[longest] <= _SMALLEST:
        raise ResourceError(
            "There is not enough free memory for even a small window; close other programs and try again."
        )
    half = max(_SMALLEST, window[longest] // 2 // 16 * 16)
    return triple(half if axis == longest else n for axis, n in enumerate(window))
