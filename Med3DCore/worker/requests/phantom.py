"""``phantom``: the CT of a made-up patient with exact labels, for who has no scan at hand."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.phantom import PhantomSettings, make_phantom
from Med3DCore.worker.exchange import write_volume_array
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        folder: Where to write, made and removed by the client.
        labels: Names of the labels; they are numbered 1, 2, ... in this order.
        seed: Which patient.
        spacing: Voxel size in mm, the same along all axes.
        region: "chest", "abdomen", "torso" or "pelvis".
        contrast: "native", "arterial" or "portal".
    """

    folder: str
    labels: list[str]
    seed: int = 0
    spacing: float = 2.5
    region: str = "torso"
    contrast: str = "portal"


def run(fields: Fields, job: Job) -> dict:
    """Make it.

    Returns:
        ``volume`` and ``labels``: descriptions of the int16 CT in HU and of its label map.

    Raises:
        SettingError: There is no such label, region or contrast, or a number makes no sense.
        OutputError: The folder cannot be written to.
        Cancelled: The user stopped it.
    """
    settings = PhantomSettings(
        spacing=(fields.spacing,) * 3, region=fields.region, contrast=fields.contrast, labels=tuple(fields.labels)
    )
    phantom = make_phantom(fields.seed, settings, job.progress)
    return {
        "volume": write_volume_array(phantom.ct, fields.folder, "phantom"),
        "labels": write_volume_array(phantom.labels, fields.folder, "labels"),
    }
