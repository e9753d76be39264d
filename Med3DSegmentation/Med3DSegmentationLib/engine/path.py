"""Where the engine is: beside the module in an installed extension, one folder up in the source tree."""

from __future__ import annotations

import sys
from pathlib import Path

ENGINE = "Med3DCore"


def engineFolder(moduleFolder: Path) -> Path:
    """The folder that holds the engine.

    Args:
        moduleFolder: The folder of ``Med3DSegmentation.py``.

    Raises:
        ImportError: The engine is in neither place.
    """
    for folder in (moduleFolder, moduleFolder.parent):
        if (folder / ENGINE / "__init__.py").is_file():
            return folder
    raise ImportError(f"{ENGINE} is not beside {moduleFolder}; install the extension Med3DSegmentation again.")


def addEngineToPath() -> None:
    """Let ``import Med3DCore`` find the engine that belongs to this module."""
    folder = str(engineFolder(Path(__file__).resolve().parents[2]))
    if folder not in sys.path:
        sys.path.insert(0, folder)
