"""One stage that was imported from nnU-Net or MONAI: from a scan to the labels on its own grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import expit

from Med3DCore.errors import ResourceError
from Med3DCore.geometry import triple
from Med3DCore.inference.device import Device
from Med3DCore.inference.memory import free_bytes
from Med3DCore.inference.nnunet.logits import Last, Logits, members_of
from Med3DCore.inference.nnunet.restore import Decide, Restorer
from Med3DCore.inference.nnunet.tiling import TILINGS
from Med3DCore.inference.nnunet.window import TOGETHER, WindowMean
from Med3DCore.inference.nnunet.winners import exclusive_labels, painted_regions
from Med3DCore.io.memory import free_memory
from Med3DCore.models.stage import Stage
from Med3DCore.preprocessing.channels import require_channels
from Med3DCore.preprocessing.frame import Frame
from Med3DCore.preprocessing.imported import MONAI, imported_preprocessing
from Med3DCore.preprocessing.nnunet.axis import Neighbours
from Med3DCore.progress import Progress
from Med3DCore.system.allocator import return_freed_memory
from Med3DCore.volume import Volume

# Feature maps of the finest level that are alive at once: the skip, the climbed one, both joined (twice as wide), and
# one that is being made. Fewer of encoders whose convolutions are written over what they convolve, on a CPU (measured).
_LIVE_MAPS, _LIVE_MAPS_OVER = 5, {"plain_conv": 2, "residual": 3}


def segment_stage(
    stage: Stage,
    network: torch.nn.Module,
    volumes: Sequence[Volume],
    names: Sequence[str],
    device: Device,
    mirror_axes: tuple[int, ...],
    progress: Progress,
) -> np.ndarray:
    """Which of the wanted labels is at each voxel of the scan.

    Regions may overlap: of those that are wanted the last one in the model's order is on top, so one alone is whole.

    Args:
        stage: An imported one.
        network: Its network, in evaluation mode, on the device.
        volumes: The scan's channels.
        names: The wanted labels.
        device: Where to compute.
        mirror_axes: Axes of the network along which mirrored copies are averaged.
        progress: Followed, and may cancel.

    Returns:
        uint8 ``[z, y, x]``: 1 for the first name; 0 where there is none of them.

    Raises:
        VolumeError: The number of channels is wrong, or they do not lie on one grid.
        ResourceError: There is too little memory.
    """
    preprocessing = imported_preprocessing(stage.preprocessing)
    require_channels(volumes, len(preprocessing.channels))
    result = np.zeros(volumes[0].array.shape, np.uint8)
    classes, regions = stage.network["out_channels"], stage.activation == "sigmoid"
    members, kept, last = members_of(network, classes, as_logits=regions)
    with progress.stage(f"{stage.name}: prepare", share=0.1):
        frame = preprocessing.frame(volumes)
        _require_memory(stage, frame, volumes, kept, members[0].maps, device)
        array = preprocessing.apply(volumes, frame)
    mean = WindowMean(members, array, stage.window, device, kept, mirror_axes, TILINGS[stage.preprocessing["name"]])
    decide = _regions(stage, names) if regions else _classes(stage, names, last)
    restorer = Restorer(decide, preprocessing.back(frame), frame.view(result))
    for row in range(mean.rows):
        return_freed_memory()  # what a row leaves lies between the sums, where the maps of a patch do not fit
        with progress.stage(f"{stage.name}: network", share=0.7 / mean.rows):
            mean.run(row, progress)
        with progress.stage("restore", share=0.1 / mean.rows):
            before = restorer.part
            for maps in mean.finished(row):
                progress.update(min(1.0, (restorer.part - before) * mean.rows))
                restorer.add(maps)
    return result


def _classes(stage: Stage, names: Sequence[str], last: Last | None) -> Decide:
    """The number of a wanted name where its class is the highest."""
    softmax, wanted = stage.preprocessing["name"] == MONAI, [stage.labels.index(name) for name in names]
    numbers = np.array([names.index(name) + 1 if name in names else 0 for name in stage.labels], np.uint8)
    return lambda maps, axes: numbers[exclusive_labels(Logits(maps, last, softmax), axes, wanted)]


def _regions(stage: Stage, names: Sequence[str]) -> Decide:
    """The number of the wanted name that is the last in the model's order of those whose probability is above half."""
    shown = sorted(stage.labels.index(name) for name in names)
    numbers = np.array([0, *(names.index(stage.labels[channel]) + 1 for channel in shown)], np.uint8)

    def decide(maps: np.ndarray, axes: list[Neighbours]) -> np.ndarray:
        wanted = [maps[channel] for channel in shown]
        above = [expit(each) - 0.5 for each in wanted] if stage.preprocessing["name"] == MONAI else wanted
        return numbers[painted_regions(above, axes)]

    return decide


def _require_memory(
    stage: Stage, frame: Frame, volumes: Sequence[Volume], kept: int, maps: int, device: Device
) -> None:
    """Stop before the network starts if what is ``kept``, channels and one patch, which gives ``maps``, do not fit.

    Raises:
        ResourceError: Less is free.
    """
    depth, *plane = (float(max(n, p)) for n, p in zip(frame.shape, stage.window, strict=True))
    slices = kept * (stage.window[0] + 2 * TOGETHER) + depth * (2 * len(volumes) + 2)
    held = 4 * slices * plane[0] * plane[1]
    encoder, on_gpu = stage.network["encoder"], device.torch_device.type != "cpu"
    itemsize = torch.empty(0, dtype=device.dtype).element_size()
    live = _LIVE_MAPS if on_gpu else _LIVE_MAPS_OVER.get(encoder["name"], _LIVE_MAPS)
    patch = float(np.prod(stage.window)) * (live * encoder["channels"][0] * itemsize + maps * 4)
    on_gpu_free = free_bytes(device) if on_gpu else 0
    if on_gpu and patch > on_gpu_free:
        raise ResourceError(
            f"One patch of this model needs {patch / 1e9:.1f} GB on the GPU, but {on_gpu_free / 1e9:.1f} GB are free; "
            "its size cannot change. Close other programs, or use --device cpu."
        )
    needed, free = held + (0 if on_gpu else patch), free_memory()
    if free is not None and needed > free:
        size = " x ".join(map(str, triple(reversed(frame.shape))))
        raise ResourceError(
            f"{volumes[0].name} has {size} voxels on this model's grid, for which {needed / 1e9:.1f} GB of memory are "
            f"needed but {free / 1e9:.1f} GB are free; crop the scan, or close other programs."
        )
