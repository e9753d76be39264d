"""``classify_scan``: what a classifier says of a whole scan, and where it saw that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from Med3DCore.models.catalogue import Catalogue
from Med3DCore.preprocessing.hounsfield import require_modality
from Med3DCore.volume import Volume
from Med3DCore.worker.exchange import write_volume_array
from Med3DCore.worker.job import Job
from Med3DCore.worker.scan import read_scan
from Med3DCore.worker.warm import interruptible


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        volume: Description of the scan, see :mod:`Med3DCore.worker.exchange`.
        model: Name or file of a classifier of whole scans.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        offset: Is added to all values, such as -1024 for a CT that was stored without its offset.
        not_ct: Look also at a scan of another kind than the model was made for, with a warning; else it is refused.
    """

    volume: dict
    model: str
    device: str = "auto"
    offset: float = 0.0
    not_ct: bool = False


def run(fields: Fields, job: Job) -> dict:
    """Look at the scan.

    Returns:
        ``model``; ``device``, for people; ``exclusive``: whether a scan is of one class, whose probabilities add up to
        1; ``answers``, in the model's order: of each class or label ``name``, ``probability``, ``called``: whether the
        scan is said to show it, and ``map``: description of its activation map, float32, beside the scan, over the
        scan's box but on a coarser grid (:func:`Med3DCore.inference.classify_scan.thinned`); ``warnings``;
        ``total_seconds``.

    Raises:
        VolumeError: With the code ``"not-ct"``, see :func:`Med3DCore.preprocessing.hounsfield.require_modality`.
        Med3DError: As ``med3d classify scan``.
    """
    progress = job.progress
    package = Catalogue().find(fields.model)
    with progress.stage("read", share=0.1):
        scan = read_scan(fields.volume, None, progress, offset=fields.offset).whole
        require_modality(scan, package.modality, package.reference, progress, fields.not_ct)
    with progress.stage("start torch"):
        from Med3DCore.inference.classify_scan import ScanClassifier, thinned
        from Med3DCore.inference.device import choose_device

    with progress.stage("load model", share=0.1):
        classifier = ScanClassifier(package, choose_device(fields.device))
    classifier.warn_of_unseen(scan, progress)
    with progress.stage("look at the scan", share=0.7), interruptible(progress):
        answer = classifier.classify(scan)
    grid, folder, answers = thinned(scan.geometry, answer.geometry), Path(fields.volume["file"]).parent, []
    with progress.stage("write", share=0.1):
        for done, (name, probability) in enumerate(answer.probabilities.items()):
            progress.update(done / len(answer.probabilities))
            evidence = write_volume_array(Volume(answer.map_on(name, grid), grid, name), folder, "map")
            told = {"name": name, "probability": probability, "called": name in answer.called}
            answers.append({**told, "map": evidence})
    return {
        "model": package.reference,
        "device": classifier.device.title,
        "exclusive": answer.exclusive,
        "answers": answers,
        "warnings": list(progress.warnings),
        "total_seconds": round(progress.elapsed, 3),
    }
