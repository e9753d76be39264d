"""``classify``: what a classifier says of points of a scan."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.errors import SettingError
from Med3DCore.geometry import triple
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
        points: Of each ``name`` and ``centre``, LPS mm (x, y, z).
        model: Name or file of a classifier.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        prevalence: How common the second class is, 0..1; None takes that of the classifier's training.
    """

    volume: dict
    points: list[dict]
    model: str
    device: str = "auto"
    prevalence: float | None = None


def run(fields: Fields, job: Job) -> dict:
    """Look at each point.

    Returns:
        ``model``; ``classes``; ``points``: of each, in the order of the request, ``name``, ``centre`` and
        ``probabilities``, by class; ``prevalence`` that they are of, or None if nobody knows; ``warnings``.

    Raises:
        Med3DError: As ``med3d classify run``.
    """
    progress = job.progress
    if not fields.points:
        raise SettingError("Place a point in the middle of what to look at first.")
    package = Catalogue().find(fields.model)
    with progress.stage("read", share=0.2):
        scan = read_scan(fields.volume, None, progress).whole
        # A piece of a scan around a nodule may hold neither air nor water: it is told, not refused.
        require_modality(scan, package.modality, package.reference, progress, not_ct=True)
    with progress.stage("start torch"):
        from Med3DCore.inference.classify import Classifier
        from Med3DCore.inference.device import choose_device

        classifier = Classifier(package, choose_device(fields.device), fields.prevalence)
    centres = [(str(point["name"]), triple(map(float, point["centre"]))) for point in fields.points]
    with progress.stage("look at the points", share=0.7), interruptible(progress):
        answers = classifier.classify(scan, centres, progress)
    return {
        "model": package.reference,
        "classes": list(classifier.stage.labels),
        "points": [{"name": a.name, "centre": list(a.centre), "probabilities": a.probabilities} for a in answers],
        "prevalence": classifier.prevalence,
        "warnings": list(progress.warnings),
    }
