"""What the user chose, as the fields of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.volume import LabelMap, Volume
from Med3DCore.worker.exchange import read_volume_array
from Med3DSegmentationLib.engine.handing_over import handOver
from Med3DSegmentationLib.scene.pieces import Pieces
from Med3DSegmentationLib.scene.regions import Region
from Med3DSegmentationLib.scene.tilted_volumes import scanInPieces


@dataclass(frozen=True)
class Choices:
    """What the user chose.

    Args:
        organs: Names of labels.
        model: Name or file of a model; None takes the one that ships with Med3D, knows the organs and looks closest.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        region: Only what lies inside is labelled or shown; None for all.
        splitLungs: Whether left and right lung become segments of their own; not for a preview.
        notCt: Whether a scan of another kind than the model was made for is segmented all the same.
        offset: Is added to all values of the scan.
        fast: Whether an imported model runs in its faster way; not for a preview.
        channels: Volumes with the further images of the patient, for a model of several, in its order.
    """

    organs: tuple[str, ...]
    model: str | None = None
    device: str = "auto"
    region: Region | None = None
    splitLungs: bool = False
    notCt: bool = False
    offset: float = 0.0
    fast: bool = False
    channels: tuple[slicer.vtkMRMLScalarVolumeNode, ...] = ()

    def toFields(self, scan: Volume, folder: str, series: dict[str, Any] | None = None) -> Pieces[dict[str, Any]]:
        """Fields of a request; writes the scan and the further images.

        Args:
            scan: The volume.
            folder: Where to.
            series: The DICOM series that it is from, if it is from one; see :func:`.dicom_series.seriesOf`.
        """
        further = [scanInPieces(node) for node in self.channels]
        volume = yield from handOver(scan, folder, "scan", _("Handing over the volume"))
        channels = []
        for pieces in further:
            image = yield from pieces
            channels.append((yield from handOver(image, folder, "channel", _("Handing over the volume"))))
        return {
            "volume": volume,
            "organs": list(self.organs),
            "model": self.model,
            "device": self.device,
            "region": self.region and self.region.bounds,
            **({"split_lungs": True} if self.splitLungs else {}),
            **({"not_ct": True} if self.notCt else {}),
            **({"offset": self.offset} if self.offset else {}),
            **({"fast": True} if self.fast else {}),
            **({"series": series} if series else {}),
            **({"channels": channels} if channels else {}),
        }

    def readLabels(self, answer: dict[str, Any]) -> Pieces[LabelMap]:
        """Labels of an answer to the request ``segment``, cut to the region."""
        labelMap = read_volume_array(answer["labels"])
        return (yield from self.region.cut(labelMap)) if self.region else labelMap
