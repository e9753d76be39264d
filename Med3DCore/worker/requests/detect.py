"""``detect``: boxes around what may be lesions in a scan."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.errors import SettingError
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.preprocessing.hounsfield import require_modality
from Med3DCore.worker.job import Job
from Med3DCore.worker.scan import read_scan
from Med3DCore.worker.warm import interruptible


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        volume: Description of the scan, see :mod:`Med3DCore.worker.exchange`.
        model: Name or file of a detector.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        least_score: What is less sure is left out, 0..1.
        offset: Is added to all values, such as -1024 for a CT that was stored without its offset.
        not_ct: Look also at a scan of another kind than the model was made for, with a warning; else it is refused.
    """

    volume: dict
    model: str
    device: str = "auto"
    least_score: float = 0.3
    offset: float = 0.0
    not_ct: bool = False


def run(fields: Fields, job: Job) -> dict:
    """Look at every slice.

    Returns:
        ``model``; ``device``, for people; ``lesions``, surest first: of each ``score``, ``box`` (lowest and highest LPS
        mm) and ``key_z``, LPS z in mm of the slice where it is surest; ``warnings``; ``total_seconds``.

    Raises:
        VolumeError: With the code ``"not-ct"``, see :func:`Med3DCore.preprocessing.hounsfield.require_modality`.
        Med3DError: As ``med3d detect``.
    """
    progress = job.progress
    if not 0 <= fields.least_score <= 1:
        raise SettingError(f"The least score is {fields.least_score:g}; it must be from 0 to 1.")
    package = Catalogue().find(fields.model)
    with progress.stage("read", share=0.05):
        scan = read_scan(fields.volume, None, progress, offset=fields.offset).whole
        require_modality(scan, package.modality, package.reference, progress, fields.not_ct)
    with progress.stage("start torch"):
        from Med3DCore.inference.detect import Detector
        from Med3DCore.inference.device import choose_device

    with progress.stage("load model", share=0.02):
        detector = Detector(package, choose_device(fields.device))
    with progress.stage("look for lesions", share=0.93), interruptible(progress):
        lesions = detector.detect(scan, fields.least_score, progress)
    return {
        "model": package.reference,
        "device": detector.device.title,
        "lesions": [
            {"score": one.score, "box": [list(one.low), list(one.high)], "key_z": one.key_z} for one in lesions
        ],
        "warnings": list(progress.warnings),
        "total_seconds": round(progress.elapsed, 3),
    }
