"""``trainings``: what was trained on this computer, and what can be continued."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from Med3DCore.models.folders import trainings_folder
from Med3DCore.training.fine_tuning.run_list import list_runs, remove_never_begun
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        folder: Folder in which each training has one; None takes the one beside the user's models.
    """

    folder: str | None = None


def run(fields: Fields, job: Job) -> dict:  # noqa: ARG001 - one signature for all requests
    """List the trainings.

    Returns:
        ``trainings``: see :func:`Med3DCore.training.fine_tuning.run_list.list_runs`; ``folder``: where they are.
    """
    folder = Path(fields.folder) if fields.folder else trainings_folder()
    remove_never_begun(trainings_folder())
    return {"trainings": list_runs(folder), "folder": str(folder)}
