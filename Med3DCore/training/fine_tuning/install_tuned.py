"""The way of a fine-tuned model to the user's models."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from Med3DCore.errors import ModelError, OutputError
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.package_file import MODEL_EXISTS, load_package, save_package
from Med3DCore.training.fine_tuning.new_package import free_version
from Med3DCore.training.fine_tuning.run_folder import RunFolder
from Med3DCore.training.segmentation.card import write_card


def install_tuned(package: Path) -> Path:
    """Add the model of a fine-tuning to the user's models.

    Its version was free when it was made. If another model took it meanwhile, as of two trainings that end at the same
    time, it gets the next free one, also in its run's folder. Until it is there, the run counts as unfinished, so that
    it can be continued after a kill or a full disk just before the end.

    Args:
        package: Its file in the run's folder.

    Returns:
        Where it is now.

    Raises:
        ModelError: The file is gone or broken.
        OutputError: It cannot be written.
    """
    catalogue = Catalogue()
    while True:
        try:
            path = catalogue.install(package)
        except ModelError as error:
            if error.code != MODEL_EXISTS:
                raise
            package = _renumbered(package)
        else:
            with suppress(OutputError):  # it is among the models; that is told once more when the run is continued
                _note(package, {"installed": True})
            return path


def _renumbered(file: Path) -> Path:
    """The same model under the next free version, in the place of the old file."""
    old = load_package(file)
    new = replace(old, version=free_version(old.name))
    weights = {part: old.read_weights(part) for part in old.parts}
    path = save_package(replace(new, card=write_card(new)), weights, file.parent)
    _note(path, {"model": new.reference, "package": path.name})
    file.unlink()
    return path


def _note(package: Path, values: dict) -> None:
    """Add to what the run's folder says of how it ended."""
    run = RunFolder(package.parent)
    run.write_result({**(run.read_result() or {}), **values})
