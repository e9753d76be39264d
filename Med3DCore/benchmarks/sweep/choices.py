"""What is said for one task, ``NAME=TEXT``, and what for all of them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from Med3DCore.benchmarks.catalogue import find_task
from Med3DCore.benchmarks.sweep.plan import require_once
from Med3DCore.benchmarks.task import BenchmarkTask
from Med3DCore.errors import DataError, SettingError
from Med3DCore.io.files import as_path


def chosen_tasks(texts: Collection[str]) -> dict[str, BenchmarkTask]:
    """Tasks by their names, which become those of folders.

    Raises:
        SettingError: There is none of a name, a file is not as it must be, or two have one name.
    """
    tasks = [find_task(text) for text in texts]
    require_once("task", [task.name for task in tasks])
    return {task.name: task for task in tasks}


def data_folders(texts: Collection[str], tasks: Collection[str]) -> dict[str, Path]:
    """The folder of each task's data set.

    Args:
        texts: ``NAME=FOLDER`` for one task, or a folder in which each of the others has its own, called as the task;
            a single task's data may also lie in that folder itself.
        tasks: Names of the tasks.

    Raises:
        SettingError: A name is unknown, a task has no folder, or two folders are given for all.
        DataError: A folder is not there.
    """
    own, shared = said_by_name(texts, tasks, "folder")
    found = {}
    for name in tasks:
        if name not in own and shared is None:
            raise SettingError(f"Nobody said where the data of '{name}' are; add --data {name}=FOLDER.")
        folder = as_path(own.get(name, shared or ""))
        inner = name not in own and (len(tasks) > 1 or (folder / name).is_dir())
        found[name] = folder / name if inner else folder
        if not found[name].is_dir():
            raise DataError(f"The data of '{name}' are not there: {found[name]} is no folder.")
    return found


def steps_by_task(texts: Collection[str], tasks: Collection[str]) -> dict[str, int]:
    """The steps of the tasks for which ``NAME=N`` or, for all, ``N`` was said.

    Raises:
        SettingError: A name is unknown, or something is no number of steps.
    """
    own, shared = said_by_name(texts, tasks, "number of steps")
    said = {name: own.get(name, shared) for name in tasks}
    for text in said.values():
        if text is not None and not (text.isdecimal() and int(text) > 0):
            raise SettingError(f"'{text}' is no number of steps; write --steps 300, or --steps {min(tasks)}=300.")
    return {name: int(text) for name, text in said.items() if text is not None}


def said_by_name(texts: Collection[str], tasks: Collection[str], what: str) -> tuple[dict[str, str], str | None]:
    """What is said for single tasks, by name, and what for all others.

    Args:
        texts: ``NAME=TEXT``, or a text for all.
        tasks: Names of the tasks.
        what: What to call it.

    Raises:
        SettingError: No task has the name, or two things are said for one.
    """
    said: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name, value = (name, value) if equals else ("", text)
        if equals and name not in tasks:
            raise SettingError(f"'{text}' is said of the task '{name}', which is none of {', '.join(tasks)}.")
        if name in said:
            whose = f"'{name}'" if name else "all tasks"
            raise SettingError(f"'{said[name]}' and '{value}' are both given as the {what} of {whose}.")
        said[name] = value
    return {name: value for name, value in said.items() if name}, said.get("")
