"""A CT as a plain DICOM series, a file a slice, as made-up data sets have it."""

from __future__ import annotations

from pathlib import Path

from Med3DCore.volume import Volume

_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def write_series(volume: Volume, folder: Path, patient: str, study: str, series: str) -> list[str]:
    """Write ``1-001.dcm``, ``1-002.dcm``, ... of a scan whose slices lie across z.

    Args:
        volume: The scan, in HU.
        folder: Where to; made if missing.
        patient: The patient's ID.
        study: UID of the study.
        series: UID of the series.

    Returns:
        UID of each slice, from the first of the array on.
    """
    import SimpleITK as sitk

    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.Cast(volume.to_sitk(), sitk.sitkInt16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    orientation = "\\".join(f"{value:g}" for value in volume.geometry.direction_matrix[:, :2].T.ravel())
    uids = []
    for index in range(image.GetDepth()):
        part, uid = image[:, :, index], f"{series}.{index + 1}"
        tags = {
            "0008|0016": _CT_IMAGE,
            "0008|0018": uid,
            "0008|0060": "CT",
            "0010|0020": patient,
            "0020|000d": study,
            "0020|000e": series,
            "0020|0011": "1",
            "0020|0013": str(index + 1),
            "0020|0032": "\\".join(f"{v:.6g}" for v in image.TransformIndexToPhysicalPoint((0, 0, index))),
            "0020|0037": orientation,
            "0018|0050": f"{volume.geometry.spacing[2]:g}",
            "0028|1052": "0",
            "0028|1053": "1",
        }
        for tag, value in tags.items():
            part.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"1-{index + 1:03}.dcm"))
        writer.Execute(part)
        uids.append(uid)
    return uids
