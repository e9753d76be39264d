"""``remove_training``: delete a training that nobody wants to continue, with its copies of scans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from Med3DCore.models.folders import trainings_folder
from Med3DCore.training.fine_tuning.run_list import remove_run
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        folder: Of the training, as the request ``trainings`` lists it.
    """

    folder: str


def run(fields: Fields, job: Job) -> dict:
    """Delete its folder. Without a check for cancelling: it is done at once.

    Returns:
        ``folder``: which was deleted.

    Raises:
        Med3DError: As :func:`Med3DCore.training.fine_tuning.run_list.remove_run`.
    """
    job.log(f"Remove the training {fields.folder}.")
    remove_run(trainings_folder(), Path(fields.folder))
    return {"folder": fields.folder}
