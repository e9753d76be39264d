"""``data_set``: the cases in a folder, to train with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from Med3DCore.training.cases.case import Case
from Med3DCore.training.data_sets import read_data_set
from Med3DCore.worker.job import Job


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        path: A data set in any form that :func:`.read_data_set` knows.
    """

    path: str


def run(fields: Fields, job: Job) -> dict:
    """List the cases; opens no image.

    Returns:
        ``cases``: of each what the request ``train`` takes for a case in files, with ``held_out`` true if the data
        set keeps it for validation; and ``warnings``: what was left out.

    Raises:
        DataError: It is no data set, or a file is missing.
    """
    cases = read_data_set(Path(fields.path), progress=job.progress)
    return {"cases": [_values(case) for case in cases], "warnings": list(job.progress.warnings)}


def _values(case: Case) -> dict:
    values = {item.name: getattr(case, item.name) for item in fields(Case) if item.name not in ("split", "weight")}
    return values | {
        "image": str(case.image),
        "label": case.label and str(case.label),
        "values": {name: np.atleast_1d(value).tolist() for name, value in case.values.items()},
        "held_out": True if case.split == "validation" else None,
    }
