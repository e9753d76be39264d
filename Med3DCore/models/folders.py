"""Where models live: those that ship with Med3D, those of the user, and trainings until they are models."""

from pathlib import Path

import Med3DCore
from Med3DCore.io.places import DATA


def shipped_folder() -> Path:
    """``Resources/Models`` beside Med3DCore, in the source tree as in the installed extension."""
    return Path(Med3DCore.__file__).resolve().parent.parent / "Resources" / "Models"


def user_folder() -> Path:
    """The folder for the user's own models: ``MED3D_MODELS``, or where the platform keeps a program's data."""
    return DATA.folder("models", "MED3D_MODELS")


def trainings_folder() -> Path:
    """Where trainings are kept until their models are made: beside the user's models."""
    return user_folder().parent / "trainings"
