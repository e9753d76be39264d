"""``nnunet_models``: which trained models of nnU-Net v2 lie in a folder or zip."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from Med3DCore.models.nnunet.results import Results
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        path: A results folder, any folder above one or several, or a zip of nnU-Net's export command.
    """

    path: str


def run(fields: Fields, job: Job) -> dict:
    """Look for plans.json with checkpoints beside it; opens none of them.

    Returns:
        ``models``: folder of each inside ``path``, as ``import_nnunet`` takes it; at least one.

    Raises:
        ModelError: There is none.
    """
    with job.progress.stage("look for models", share=1.0), closing(Results(Path(fields.path), job.progress)) as results:
        return {"models": [str(folder) for folder in results.models]}
