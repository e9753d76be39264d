"""``segment``: organs of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.preprocessing.hounsfield import require_modality
from Med3DCore.worker.exchange import write_volume_array
from Med3DCore.worker.job import Job
from Med3DCore.worker.scan import read_channels, read_scan, series_text
from Med3DCore.worker.slices import warn_of_slices
from Med3DCore.worker.warm import interruptible


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        volume: Description of the scan, see :mod:`Med3DCore.worker.exchange`.
        organs: Names of the wanted labels; they are numbered 1, 2, ... in this order.
        model: Name or file of a model; None takes the one that ships with Med3D, knows the organs and looks closest.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        region: Lowest and highest LPS mm (x, y, z); only what lies inside is labelled. None for all.
        mirror: Also average over mirrored copies, where the model was taught mirrored anatomy: slower, a little better.
        fast: Run an imported model in half precision also on a CPU that has it: faster, borders differ a little.
        split_lungs: Left and right lung as two labels in the place of "lungs".
        orientation: How the axes x, y, z of the array run, such as ``"RAS"``, if the description is wrong. The result
            lies on the grid of the description all the same.
        offset: Is added to all values, such as -1024 for a CT that was stored without its offset.
        series: Which DICOM series the scan is from, if it is from one: ``title``, ``modality``, ``series_number``,
            ``slices``, and ``files``, if they are known: what is wrong with how the client laid them out is told.
        not_ct: Segment also a scan of another kind than the model was made for, with a warning; else it is refused.
        channels: Descriptions of the further images of the patient, in the order of the model's ``channels``, for a
            model that takes several; they lie voxel over voxel on the scan.
    """

    volume: dict
    organs: list[str]
    model: str | None = None
    device: str = "auto"
    region: list[list[float]] | None = None
    mirror: bool = False
    fast: bool = False
    split_lungs: bool = False
    orientation: str | None = None
    offset: float = 0.0
    series: dict | None = None
    not_ct: bool = False
    channels: list[dict] | None = None


def run(fields: Fields, job: Job) -> dict:
    """Segment.

    Returns:
        ``labels``: description of the label map, written beside the scan, on the scan's grid; ``report``: see
        :meth:`Med3DCore.inference.segment.Segmentation.report`, and ``series`` in words; ``model_sha256`` of the
        model's file, for :mod:`.write_dicom`; ``seconds`` by stage, and ``total_seconds``.

    Raises:
        VolumeError: With the code ``"not-ct"``, before torch or a network is loaded, see
            :func:`Med3DCore.preprocessing.hounsfield.require_modality`.
        Med3DError: As :func:`Med3DCore.inference.segment.segment` and the functions of the exchange.
    """
    progress, series = job.progress, fields.series or {}
    package = Catalogue().choose(fields.organs, fields.model)
    with progress.stage("read", share=0.02):
        modality = series.get("modality")
        scan = read_scan(fields.volume, fields.region, progress, fields.orientation, fields.offset, modality)
        require_modality(scan.whole, package.modality, package.reference, progress, fields.not_ct)
        wanted = len(package.channels) or 1
        channels = read_channels(fields.channels or (), scan, wanted, progress, fields.orientation)
        warn_of_slices(series.get("files", ()), scan.whole, progress)
    with progress.stage("start torch"):
        from Med3DCore.inference.orientation import check_orientation
        from Med3DCore.inference.segment import conclude
        from Med3DCore.inference.sides import split_lungs

    with progress.stage("load model", share=0.02):
        pipeline = job.warm.pipeline(package, fields.device, fields.mirror, fields.fast)
    job.log(f"{pipeline.package.reference} on {pipeline.networks.device.title}. {pipeline.networks.device.reason}")
    is_doubted = pipeline.package.modality == "CT" and check_orientation(scan.whole, progress)
    with interruptible(progress):
        labels = pipeline.segment(scan.seen, fields.organs, progress, channels)
    if fields.split_lungs:
        labels = split_lungs(labels, scan.whole, progress, are_known=not is_doubted)
    labels = scan.keep(labels)
    done = conclude(labels, pipeline, progress, scan.edge)
    with progress.stage("write", share=0.05):
        written = write_volume_array(scan.paste(labels), Path(fields.volume["file"]).parent, "labels")
    return {
        "labels": written,
        "report": done.report() | ({"series": series_text(series)} if series else {}),
        "model_sha256": job.warm.digest,
        "seconds": {name: round(seconds, 3) for name, seconds in progress.timeline.items()},
        "total_seconds": round(progress.elapsed, 3),
    }
