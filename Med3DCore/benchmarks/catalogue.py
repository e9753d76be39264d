"""The tasks that come with Med3D, and those of users' own files."""

from __future__ import annotations

from pathlib import Path

import Med3DCore
from Med3DCore.benchmarks.task import BenchmarkTask, read_task
from Med3DCore.errors import SettingError
from Med3DCore.io.files import as_path

FOLDER = Path(Med3DCore.__file__).resolve().parent.parent / "Resources" / "Tasks"


def known_tasks() -> list[BenchmarkTask]:
    """The tasks that come with Med3D, by name."""
    return [read_task(file) for file in sorted(FOLDER.glob("*.json"))]


def find_task(name: str) -> BenchmarkTask:
    """A task by the name of one that comes with Med3D, or by a file.

    Raises:
        SettingError: There is none, or its file is not as it must be.
    """
    if name.endswith(".json"):
        return read_task(as_path(name))
    file = FOLDER / f"{name}.json"
    if Path(name).name != name or not file.is_file():
        names = ", ".join(sorted(each.stem for each in FOLDER.glob("*.json")))
        raise SettingError(f"There is no task '{name}'; known are {names}. A task of your own is a file, NAME.json.")
    return read_task(file)
