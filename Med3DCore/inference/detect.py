"""Find lesions in a scan: a detector's boxes in every slice, joined to boxes in space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from Med3DCore.errors import ModelError
from Med3DCore.geometry import Geometry, Triple, triple
from Med3DCore.inference.device import Device
from Med3DCore.inference.find_boxes import box_device, find_boxes
from Med3DCore.inference.link_boxes import LinkedBox, link_boxes
from Med3DCore.models.kinds import DETECTOR
from Med3DCore.models.package import ModelPackage
from Med3DCore.networks.network import Network
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume


@dataclass(frozen=True)
class Finding:
    """A box around what may be a lesion, along the patient's axes.

    Args:
        score: How sure the detector is, 0 to 1, in the slice where it is surest.
        low: Lowest LPS mm of the box.
        high: Highest LPS mm.
        key_z: LPS z in mm of the slice where it is surest, from which the sides along x and y are.
    """

    score: float
    low: Triple
    high: Triple
    key_z: float

    @property
    def centre(self) -> Triple:
        """Middle of the box, LPS mm."""
        return triple((a + b) / 2 for a, b in zip(self.low, self.high, strict=True))

    @property
    def size(self) -> Triple:
        """Sides along x, y, z in mm."""
        return triple(b - a for a, b in zip(self.low, self.high, strict=True))

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        rounded = {
            "centre_mm": [round(v, 2) for v in self.centre],
            "size_mm": [round(v, 2) for v in self.size],
            "key_slice_z_mm": round(self.key_z, 2),
        }
        return {"score": round(self.score, 4), **rounded}


class Detector:
    """A detection model ready to run.

    Args:
        package: The model.
        device: Where to compute.

    Raises:
        ModelError: It is no detector, or is damaged.
    """

    def __init__(self, package: ModelPackage, device: Device) -> None:
        if package.kind != DETECTOR:
            raise ModelError(
                f"{package.reference} is no detector; choose one that `med3d train` made of a recipe such as "
                "detection-small.json."
            )
        self.package, self.stage, self.device = package, package.stages[0], box_device(device)
        self.preprocessing = Preprocessing.from_dict(self.stage.preprocessing)
        self.network = cast(Network, package.network(self.stage.name))
        self.device.place(self.network)

    def detect(self, volume: Volume, least_score: float = 0.3, progress: Progress | None = None) -> list[Finding]:
        """Look at every slice of a scan, at the model's distance of slices.

        Args:
            volume: The scan, in any orientation.
            least_score: Boxes with a lower score are left out.
            progress: Told after each slice; may cancel.

        Returns:
            The findings, surest first.

        Raises:
            Cancelled: The user stopped.
        """
        progress = progress or Progress()
        seen = self.preprocessing.apply(volume)
        half, count = self.stage.window[0] // 2, seen.array.shape[0]
        slices, boxes, scores = [], [], []
        for number in range(count):
            progress.update(number / count)
            around = np.clip(np.arange(number - half, number + half + 1), 0, count - 1)  # the last slice goes on
            found, sure = find_boxes(self.network, seen.array[around], self.device)
            good = sure >= least_score
            slices.append(np.full(int(good.sum()), number))
            boxes.append(found[good])
            scores.append(sure[good])
        joined = link_boxes(np.concatenate(slices), np.concatenate(boxes), np.concatenate(scores))
        return [_in_space(each, seen.geometry) for each in joined]


def _in_space(lesion: LinkedBox, grid: Geometry) -> Finding:
    """A lesion in the patient; the grid runs along the patient's axes. Slices are as thick as they are apart."""
    x, y, z = (np.array(part) for part in zip(grid.origin, grid.spacing, strict=True))
    depth = [z[0] + (number + side) * z[1] for number, side in ((lesion.first, -0.5), (lesion.last, 0.5))]
    low = (x[0] + lesion.box[0] * x[1], y[0] + lesion.box[1] * y[1], depth[0])
    high = (x[0] + lesion.box[2] * x[1], y[0] + lesion.box[3] * y[1], depth[1])
    key = float(z[0] + lesion.key * z[1])
    return Finding(lesion.score, triple(float(v) for v in low), triple(float(v) for v in high), key)
