"""What the extension's CMake files list, and a tree as Slicer makes it from them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# CMake file -> folder that its names are relative to.
LISTS = {"Med3DCore/CMakeLists.txt": ROOT, "Med3DSegmentation/CMakeLists.txt": ROOT / "Med3DSegmentation"}


def variables(cmake_file: Path) -> dict[str, list[str]]:
    """Values of each ``set()`` in a CMake file, with ``${...}`` replaced; comments are left out."""
    text = re.sub(r"#.*", "", cmake_file.read_text(encoding="utf-8"))
    values: dict[str, list[str]] = {}
    for name, words in re.findall(r"\bset\((\w+)([^)]*)\)", text):
        for known, value in values.items():
            words = words.replace(f"${{{known}}}", " ".join(value))
        values[name] = [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', words)]
    return values


def listed(cmake_file: str) -> list[str]:
    """The files that one of :data:`LISTS` lists, as it names them."""
    values = variables(ROOT / cmake_file)
    return [name for key in values if key.endswith(("_SCRIPTS", "_RESOURCES")) for name in values[key]]


def install(folder: Path) -> Path:
    """Copy the listed files as Slicer's macros do: all into one folder, under the names that the lists give them.

    Returns:
        The folder that Slicer would load modules from.
    """
    modules = folder / "lib" / "Slicer-5.13" / "qt-scripted-modules"
    for cmake_file, base in LISTS.items():
        for name in listed(cmake_file):
            target = modules / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base / name, target)
    return modules
