"""``write_dicom``: a label map as DICOM SEG or RTSTRUCT, beside the series that it was drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from Med3DCore.errors import OutputError, VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io import Series, write_label_maps
from Med3DCore.io.dicom import series_of_files, tags
from Med3DCore.io.dicom.elements import read_elements
from Med3DCore.io.dicom_results import Maker, Origin, require_origin
from Med3DCore.io.dicom_results.stacked import is_stack_of, unstacked
from Med3DCore.volume import LabelMap
from Med3DCore.worker.exchange import read_volume_array
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        labels: Description of the label map, see :mod:`Med3DCore.worker.exchange`: on the grid of the series, whose
            axes may run the other way.
        files: The slices of the series.
        path: What to write: a file that ends with ``.seg.dcm`` or ``.rtstruct.dcm``.
        makers: One a label: ``kind``, ``"AUTOMATIC"``, ``"SEMIAUTOMATIC"`` or ``"MANUAL"``; ``model``, name-version or
            empty; ``model_sha256``, as ``segment`` told it: by now another file may have that name and version. None:
            all are drawn by hand.
        series_number: Of the new series; None takes the usual one.
        edition: Which of several results of the scan, from 1.
    """

    labels: dict
    files: list[str]
    path: str
    makers: list[dict] | None = None
    series_number: int | None = None
    edition: int = 1


def run(fields: Fields, job: Job) -> dict:
    """Write it.

    Returns:
        ``path``; ``series_uid`` and ``instance_uid`` of the new object.

    Raises:
        OutputError: It cannot be written, or nothing is marked.
        VolumeError: The slices cannot be read, or the label map does not lie on them.
    """
    path = Path(fields.path)
    with job.progress.stage("read slices", share=0.4):
        labels = read_volume_array(fields.labels)
        if not isinstance(labels, LabelMap) or not labels.array.any():
            raise OutputError(f"Nothing is marked in {labels.name}; segment something first.")
        series = _series(fields.files, labels, job)
        require_origin(series, [path])
    with job.progress.stage("write", share=0.6):
        makers = tuple(map(_maker, fields.makers or [{}] * len(labels.labels)))
        models = [maker for maker in makers if maker.model]
        leading = models[0] if models else Maker("MANUAL", "Med3D")
        origin = Origin(
            series,
            leading.model,
            leading.digest,
            makers=makers,
            series_number=fields.series_number,
            edition=fields.edition,
        )
        write_label_maps(_on_the_slices(labels, series), [path], origin)
    written, _ = read_elements(path)
    return {
        "path": str(path),
        "series_uid": written.text(tags.SERIES_UID),
        "instance_uid": written.text(tags.IMAGE_UID),
    }


def _series(files: Sequence[str], labels: LabelMap, job: Job) -> Series:
    """The series that some files make and the label map lies on."""
    found = series_of_files(map(Path, files), job.progress)
    fitting = [
        one
        for one in found
        if not one.problem and (_turned(labels.geometry, one.geometry) or is_stack_of(labels.geometry, one))
    ]
    if fitting:
        return max(fitting, key=lambda one: one.slices)
    flaw = next((f": {one.problem}" for one in found if one.problem), "")
    raise VolumeError(
        f"{labels.name} does not lie on the slices of its DICOM series{flaw or ', as they are on the disk'}; a volume "
        "that was cropped, resampled or straightened has no DICOM result. Save the segmentation as .seg.nrrd instead."
    )


def _turned(ours: Geometry, theirs: Geometry) -> bool:
    """Whether two grids have the same voxels, whatever the order of axes and the way they run."""
    between = np.linalg.inv(ours.index_to_physical) @ theirs.index_to_physical
    turn = np.rint(between)
    last = np.array([*(n - 1 for n in theirs.size), 1.0])
    corners = np.array([[x, y, z, 1.0] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * last
    lie_on_voxels = np.abs(corners @ (between - turn).T).max() < 0.05
    ends = np.sort(np.stack([turn @ [0, 0, 0, 1], turn @ last])[:, :3], axis=0)
    return bool(lie_on_voxels and (ends[0] == 0).all() and (ends[1] == np.array(ours.size) - 1).all())


def _on_the_slices(labels: LabelMap, series: Series) -> LabelMap:
    if labels.geometry.is_close(series.geometry):
        return labels
    if is_stack_of(labels.geometry, series):
        return unstacked(labels, series)
    array = labels.sampled(series.geometry, 0, nearest=True)
    return replace(labels, array=array, geometry=series.geometry)


def _maker(values: dict) -> Maker:
    kind, model, digest = (str(values.get(name) or "") for name in ("kind", "model", "model_sha256"))
    return Maker(kind or "MANUAL", model, digest)
