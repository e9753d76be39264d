"""Does the anatomy lie as the header says? A scan whose header lies is segmented mirrored, upside down, or not at all.

A tiny network scores how much a coarse copy of the scan looks like a patient who lies as the header says; the scan and
its seven mirrored copies are scored alike, and the header is doubted when another one looks clearly better. Of the
table, which is in front of a prone patient, it sees nothing. The weights are the mean vote of several networks, each
taught without some of the patients (tools/train_orientation.py), so that Testing/benchmarks/orientation.py can measure
them on people they never saw.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from Med3DCore.geometry import Geometry, triple
from Med3DCore.inference.proportions import axes_look_exchanged, narrow_chest
from Med3DCore.preprocessing import resample
from Med3DCore.preprocessing.hounsfield import looks_like_ct
from Med3DCore.preprocessing.spacing import world_grid
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

WEIGHTS = Path(__file__).with_name("orientation.npz")
SPACING_MM = 12.0
# Which of x, y, z are exchanged; the first is the scan as it is.
FLIPS = tuple(triple(flips) for flips in product((False, True), repeat=3))
LOOKS = ("mirrored, left for right", "back to front", "upside down")

# Voxels of about this size are looked at: more would not change a mean over 12 mm.
_SAMPLED_MM = 4.0
_AIR, _HIGH, _TISSUE = -1000.0, 1500.0, -400.0
# Lung, soft tissue and bone: where each begins and ends to be seen, in HU.
_RAMPS = ((-1000.0, -200.0), (-100.0, 150.0), (150.0, 400.0))
# In coarse voxels: the least of any side, the least and most of the longer side of a body's cross-section, and how
# much of a long scan is looked at.
_LEAST, _WIDTH, _MOST = 6, (15, 60), 60
# Without this much lung (HU; coarse voxels, 150 mL) nothing is said: pelves and legs were not learned.
_LUNG, _LUNG_VOXELS = (-950.0, -500.0), 87
# By how much another copy must look better; a factor of e**LIMIT in odds (docs/experiments.md).
LIMIT = 1.5

_TURNED = (
    "The axes of {} look exchanged: a chest goes on above or below, has air beside it, and is wider than deep. Check "
    "the orientation in its header; do not trust the result, nor what is called left or right."
)
_NARROW = (
    "The chest in {} is only {:.0f} cm wide: unless it is a small child's, the voxel spacing in its header is wrong, "
    "and so is every volume in mL."
)

Member = dict[str, torch.Tensor]


def check_orientation(volume: Volume, progress: Progress) -> bool:
    """Warn, with the flag "orientation" and no label, if the anatomy does not lie as the header says.

    Where a chest is smaller than an adult's, that is told, too, with the flag "spacing".

    Args:
        volume: Any scan; of what is no CT in HU nothing is said.
        progress: Gets the warnings.

    Returns:
        Whether the orientation is doubted, so that sides are not known.
    """
    with progress.stage("orientation", share=0.01):
        body = coarse_body(volume) if looks_like_ct(volume.array) else None
        trunk = None if body is None else _trunk(body)
        is_turned = trunk is not None and axes_look_exchanged(trunk)
        exchanged = None if trunk is None or is_turned else _doubted(trunk)
        width = None if body is None else narrow_chest(body, SPACING_MM, volume.array)
    if is_turned:
        progress.warn(_TURNED.format(volume.name), "", "orientation")
    if exchanged is not None:
        progress.warn(describe(exchanged, volume.name), "", "orientation")
    if width is not None:
        progress.warn(_NARROW.format(volume.name, width / 10), "", "spacing")
    return is_turned or exchanged is not None


def describe(exchanged: tuple[bool, bool, bool], name: str) -> str:
    """The sentence about a scan whose anatomy does not lie as its header says."""
    looks = " and ".join(word for word, is_wrong in zip(LOOKS, exchanged, strict=True) if is_wrong)
    rare = "" if exchanged != (True, False, False) else " (or this patient's organs are mirrored)"
    return (
        f"{name} looks {looks}{rare}: check the orientation in its header; do not trust the result, nor what is called "
        "left or right."
    )


def doubted_axes(volume: Volume) -> tuple[bool, bool, bool] | None:
    """Which of the patient's x, y, z look exchanged; None if none does, or if nobody could tell."""
    body = prepare(volume)
    return None if body is None else _doubted(body)


def _doubted(body: np.ndarray) -> tuple[bool, bool, bool] | None:
    votes = np.mean([scores(member, body) for member in members()], axis=0)
    best = int(votes.argmax())
    return FLIPS[best] if votes[best] - votes[0] > LIMIT else None


def prepare(volume: Volume) -> np.ndarray | None:
    """The body at 12 mm along the patient's axes, HU float32 ``[z, y, x]``; None if too little or too much is seen."""
    body = coarse_body(volume)
    return None if body is None else _trunk(body)


def coarse_body(volume: Volume) -> np.ndarray | None:
    """The body at 12 mm along the patient's axes, HU float32 ``[z, y, x]``; None if there is none."""
    steps = [max(1, int(_SAMPLED_MM / spacing)) for spacing in volume.spacing]
    thin = volume.array[tuple(slice(None, None, step) for step in reversed(steps))]
    spacing = triple(s * step for s, step in zip(volume.spacing, steps, strict=True))
    grid = Geometry(thin.shape[::-1], spacing, volume.geometry.origin, volume.geometry.direction)
    return body_only(resample(thin, grid, world_grid(grid, (SPACING_MM,) * 3), (_AIR, _HIGH), _AIR))


def _trunk(body: np.ndarray) -> np.ndarray | None:
    """A body of which something can be said, no more of it than is looked at."""
    if min(body.shape) < _LEAST or not _WIDTH[0] <= max(body.shape[1:]) <= _WIDTH[1]:
        return None
    if np.count_nonzero((body > _LUNG[0]) & (body < _LUNG[1])) < _LUNG_VOXELS:
        return None
    more = max(0, len(body) - _MOST)
    return body[more // 2 : len(body) - (more - more // 2)]


def body_only(hu: np.ndarray) -> np.ndarray | None:
    """The largest piece of tissue and what it encloses, air elsewhere, cut to what is left; equal for all flips."""
    tissue = hu > _TISSUE
    pieces, count = ndimage.label(ndimage.binary_opening(tissue))
    if count == 0:
        return None
    body = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    body |= ndimage.binary_dilation(body) & tissue
    for axis in range(3):
        for plane in np.moveaxis(body, axis, 0):
            plane |= ndimage.binary_fill_holes(plane)
    ends = [np.flatnonzero(body.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return np.where(body, hu, np.float32(_AIR))[tuple(slice(end[0], end[-1] + 1) for end in ends)]


def channels(hu: np.ndarray) -> np.ndarray:
    """What the network sees: float32 ``[lung/soft/bone, z, y, x]`` from 0 to 1; air is 0, as is what lies beyond."""
    return np.stack([np.clip((hu - low) / (high - low), 0, 1) for low, high in _RAMPS]).astype(np.float32)


def moments(shape: tuple[int, ...]) -> np.ndarray:
    """1, x, y, z, xy, xz, yz, xyz from -1 to 1 over an array ``[z, y, x]``: float32 ``[8, z, y, x]``."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape), indexing="ij")
    return np.stack([np.ones_like(z), x, y, z, x * y, x * z, y * z, x * y * z]).astype(np.float32)


def flipped(x: torch.Tensor) -> torch.Tensor:
    """All flips of ``[n, channel, z, y, x]``, one after the other along n, in the order of ``FLIPS``."""
    return torch.cat([x.flip([axis for axis, flip in zip((4, 3, 2), flips, strict=True) if flip]) for flips in FLIPS])


def pooled(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Moments over the body's box and the maximum of features ``[n, channel, z, y, x]``: ``[n, 9 channels]``.

    Args:
        x: Features.
        weights: :func:`moments` on the network's input, 0 beyond the box.
    """
    weights = functional.adaptive_avg_pool3d(weights, triple(x.shape[2:]))
    inside = weights[:, :1]
    mean = torch.einsum("nczyx,nmzyx->ncm", x, weights) / inside.sum((2, 3, 4))[:, :, None]
    return torch.cat([mean.flatten(1), (x * (inside > 0)).amax((2, 3, 4))], 1)


@torch.no_grad()
def scores(member: Member, body: np.ndarray) -> np.ndarray:
    """How much each of the eight flips of a body looks like a patient: 8 log-odds, up to a constant."""
    x = flipped(torch.from_numpy(channels(body))[None])
    for layer, stride in enumerate((2, 2, 1, 1)):
        x = functional.conv3d(x, member[f"weight{layer}"], member[f"bias{layer}"], stride, padding=1).relu_()
    weights = torch.from_numpy(moments(body.shape))[None].expand(len(FLIPS), -1, -1, -1, -1)
    return (pooled(x, weights) @ member["head"]).numpy()


@cache
def members() -> tuple[Member, ...]:
    """The networks that vote, on the CPU in float32."""
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        tensors = {name: torch.from_numpy(stored[name].astype(np.float32)) for name in stored if name != "left_out"}
    return tuple({name: each[i] for name, each in tensors.items()} for i in range(len(tensors["head"])))
