"""Where models live: those that ship with Med3D, those of the user, and trainings until they are models."""

import os
import sys
from pathlib import Path

import Med3DCore
from Med3DCore.io.files import as_path, home_folder


def shipped_folder() -> Path:
    """``Resources/Models`` beside Med3DCore, in the source tree as in the installed extension."""
    return Path(Med3DCore.__file__).resolve().parent.parent / "Resources" / "Models"


def user_folder() -> Path:
    """The folder for the user's own models: ``MED3D_MODELS``, or where the platform keeps a program's data."""
    if chosen := os.environ.get("MED3D_MODELS"):
        return as_path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home_folder("MED3D_MODELS") / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home_folder("MED3D_MODELS") / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or home_folder("MED3D_MODELS") / ".local" / "share"
    return Path(base) / "Med3D" / "models"


def trainings_folder() -> Path:
    """Where trainings are kept until their models are made: beside the user's models."""
    return user_folder().parent / "trainings"
