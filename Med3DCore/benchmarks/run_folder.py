"""What a training of a task keeps beside its model: the task as it was, and who is held out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from Med3DCore.benchmarks.held_out import Divided
from Med3DCore.benchmarks.task import BenchmarkTask, read_task
from Med3DCore.errors import DataError, SettingError
from Med3DCore.io import written_beside
from Med3DCore.training.cases.case import AnyCase

_TASK, _PATIENTS = "task", "patients.json"
EVALUATION = "evaluation"


def begin_run(task: BenchmarkTask, divided: Divided[Any], folder: Path) -> None:
    """Keep task and parts in a run's folder; of one that was begun before, see that it is the same.

    Raises:
        SettingError: The folder holds a training of another task, or with other patients.
        OutputError: It cannot be written.
    """
    parts: dict[str, list[str]] = {"training": [], "validation": [], "test": []}
    for case in divided.teaching:
        parts[case.split].append(case.patient)
    parts["test"] = [case.patient for case in divided.test]
    parts = {name: sorted(set(patients)) for name, patients in parts.items()}
    file = folder / _TASK / f"{task.name}.json"
    if (folder / _PATIENTS).is_file():
        kept = file.read_text(encoding="utf-8") if file.is_file() else None
        if kept != task.file.read_text(encoding="utf-8") or _parts(folder) != parts:
            raise SettingError(
                f"{folder} holds a training of another task, or with other patients; choose another folder, or give "
                "the task and data that it was begun with."
            )
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(file, ".json") as temporary:
        temporary.write_text(task.file.read_text(encoding="utf-8"), encoding="utf-8")
    with written_beside(folder / _PATIENTS, ".json") as temporary:
        temporary.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")


def task_of_run(folder: Path) -> BenchmarkTask:
    """The task as it was when the training began.

    Raises:
        DataError: The folder is no run of a task.
    """
    files = sorted((folder / _TASK).glob("*.json"))
    if len(files) != 1:
        raise DataError(f"{folder} is no run of a task; give the folder that `med3d task train` was given with -o.")
    return read_task(files[0])


def model_of_run(folder: Path) -> Path:
    """The model that a training made.

    Raises:
        DataError: It was not finished.
    """
    files = sorted(folder.glob("*.med3d.zip"))
    if not files:
        raise DataError(f"{folder} holds no model yet; run `med3d task train` to its end, or with --finish.")
    return files[-1]


def tested(cases: Sequence[AnyCase], folder: Path) -> list[AnyCase]:
    """The cases of the patients whom a training held out for testing.

    Raises:
        DataError: The folder is no run of a task, or the data set lacks one of the patients.
    """
    wanted = set(_parts(folder)["test"])
    missing = sorted(wanted - {case.patient for case in cases})
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(wanted)} patients who were held out are not in the data set, such as "
            f"'{missing[0]}'; give the data that the run was trained with."
        )
    return [case for case in cases if case.patient in wanted]


def _parts(folder: Path) -> dict[str, list[str]]:
    try:
        parts = json.loads((folder / _PATIENTS).read_text(encoding="utf-8"))
        return {name: [str(patient) for patient in parts[name]] for name in ("training", "validation", "test")}
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{folder} does not say who was held out; give the folder that `med3d task train` was given with -o."
        ) from None
