"""Which models there are: those that ship with Med3D and those of the user."""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.errors import Med3DError, ModelError, OutputError, SettingError
from Med3DCore.io.files import as_path
from Med3DCore.io.write import remove_unfinished
from Med3DCore.models.archive import SUFFIX, sha256_of
from Med3DCore.models.entry import ModelEntry, SoundModel, read_entry, sound_models
from Med3DCore.models.folders import shipped_folder, user_folder
from Med3DCore.models.kinds import PIPELINE
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import (
    MODEL_EXISTS,
    copy_package,
    load_package,
    package_file,
    require_absent,
    save_package,
)
from Med3DCore.models.proof import why_unproven
from Med3DCore.system.folders import make_private, require_makeable
from Med3DCore.system.locks import locked

if TYPE_CHECKING:
    from torch import Tensor

USUAL_ORGANS = ("liver", "lungs")  # what is meant by who names neither organs nor a model
_CURE = "name a folder that is yours in the environment variable MED3D_MODELS"
_PATIENCE_SECONDS = 60.0  # copying a large model to a slow disk


class Catalogue:
    """The models on this computer.

    Args:
        user: Folder of the user's models; :func:`.user_folder` by default. Made when first written to.
        shipped: Folder of the models that came with Med3D; :func:`.shipped_folder` by default. Never written to.
    """

    def __init__(self, user: str | Path | None = None, shipped: str | Path | None = None) -> None:
        self.user = Path(user) if user else user_folder()
        remove_unfinished(self.user)
        self.shipped = Path(shipped) if shipped else shipped_folder()

    def list(self) -> list[ModelEntry]:
        """All models, by name and version. A broken file is an entry with its problem and hides no other."""
        entries = [read_entry(path, path.parent == self.shipped) for path in self._files()]
        return sorted(entries, key=lambda entry: entry.place_in_list)

    def find(self, name_or_path: str | Path) -> ModelPackage:
        """Open a model.

        Args:
            name_or_path: Name (its newest version), name-version, or a file.

        Raises:
            ModelError: There is no such model, or it is broken.
        """
        name = str(name_or_path)
        if isinstance(name_or_path, Path) or name.endswith(".zip") or "/" in name or os.sep in name:
            return load_package(as_path(name_or_path))
        return self._find_sound(name)

    def choose(self, labels: Sequence[str], name_or_path: str | Path | None = None) -> ModelPackage:
        """The model to segment labels with: the named one, or else :meth:`default_for` them.

        Raises:
            ModelError: There is no such model, it is broken, or does not segment.
            SettingError: It does not find one of the labels, or a label is given twice.
        """
        if len(set(labels)) < len(labels):
            raise SettingError("Each organ can be asked for only once.")
        if name_or_path is None:
            return self.default_for(labels)
        package = self.find(name_or_path)
        package.require_pipeline()
        for label in labels:
            package.require_label(label)
        return package

    def default_for(self, labels: Sequence[str]) -> ModelPackage:
        """The model to use when the user asks for labels and names no model.

        It is, of the shipped models with all labels (with none named, that with most of the usual organs), the one that
        looks closest (so no fast model), of equals the one that was made last. A model of the user takes its place if
        it has the same name, all labels too, a version that is not older, and was made from more than a few cases and
        checked on others (:mod:`.proof`).

        Raises:
            ModelError: No shipped model has all these labels.
            SettingError: No model at all has one of them.
        """
        entries = self.list()
        fitting = [sound for sound in sound_models(entries) if set(labels) <= set(sound.package.label_names)]
        shipped = [sound.package for sound in fitting if sound.shipped and sound.package.kind == PIPELINE]
        if not shipped:
            raise _nothing_fits(labels, entries, fitting)
        wanted = set(labels or USUAL_ORGANS)
        name = max(shipped, key=lambda package: _rank(package, wanted)).name
        named = [sound for sound in fitting if sound.package.name == name]
        trusted = [sound for sound in named if sound.shipped or why_unproven(sound.package) is None]
        return max(trusted, key=lambda sound: sound.age).package

    def verify(self, name_or_path: str | Path) -> ModelPackage:
        """Check every hash of a model and that its weights fit its networks.

        Raises:
            ModelError: It does not exist, is damaged or does not fit.
        """
        package = self.find(name_or_path)
        package.verify()
        return package

    def install(self, path: str | Path, overwrite: bool = False) -> Path:
        """Verify a model file and copy it to the user's models.

        Args:
            path: The file; its own name does not matter.
            overwrite: Whether it may take the place of another file of the same name and version.

        Returns:
            Where it is now.

        Raises:
            ModelError: It is broken, or another model has this name and version.
            OutputError: It cannot be written.
        """
        package = load_package(path)
        package.verify()
        for folder in (self.shipped, self.user):
            existing = folder / package.file_name
            if existing.is_file() and _same_bytes(existing, package.file):
                return existing
        with self._free_place(package, overwrite) as target:
            copy_package(package, target)
        return target

    def save(
        self,
        package: ModelPackage,
        weights: Mapping[str, Mapping[str, Tensor]],
        half: bool = True,
        overwrite: bool = False,
    ) -> Path:
        """Write a new model, such as a fine-tuned one, to the user's models; see :func:`.save_package`."""
        with self._free_place(package, overwrite) as target:
            return save_package(package, weights, target, half)

    def export(self, name: str, path: str | Path, overwrite: bool = False) -> Path:
        """Copy a model to a folder or file, to give it to somebody.

        Raises:
            ModelError: There is no such model, or another file is in the way.
            OutputError: It cannot be written.
        """
        package = self.find(name)
        target = package_file(package, path)
        if not overwrite and not _same_bytes(target, package.file):
            require_absent(target)
        if not (target.exists() and target.samefile(package.file)):
            copy_package(package, target)
        return target

    def remove(self, name: str) -> Path:
        """Delete one of the user's models, broken or not.

        Args:
            name: Its name if it has only one version, else name-version or the file's name.

        Raises:
            ModelError: It is not the user's, does not exist, or several versions have this name.
            OutputError: It cannot be deleted.
        """
        answering = [entry for entry in self.list() if entry.answers_to(name)]
        own = [entry for entry in answering if not entry.shipped]
        if answering and not own:
            raise ModelError(f"{name} came with Med3D and cannot be removed; only your own models can.")
        exact = [entry for entry in own if entry.is_exactly(name)] or own
        if not exact:
            raise self._unknown(name)
        if len(exact) > 1:
            files = ", ".join(entry.path.name for entry in exact)
            raise ModelError(f"There are several files of {name}; say which one to remove: {files}.")
        try:
            exact[0].path.unlink()
        except OSError as error:
            raise OutputError(f"Cannot remove {exact[0].path}: {error.strerror or error}.") from error
        return exact[0].path

    def _files(self) -> builtins.list[Path]:
        found = []
        for folder in (self.shipped, self.user):
            try:
                found += [path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith(".")]
            except OSError:
                continue  # a folder that cannot be read has no models to offer
        return found

    def _find_sound(self, name: str) -> ModelPackage:
        answering = [entry for entry in self.list() if entry.answers_to(name)]
        if usable := sound_models(answering):
            return max(usable, key=lambda sound: sound.age).package
        if answering:
            raise ModelError(str(answering[0].problem))
        raise self._unknown(name)

    @contextmanager
    def _free_place(self, package: ModelPackage, overwrite: bool) -> Iterator[Path]:
        """The file for a new model, while nobody else adds one."""
        make_private(self.user, cure=_CURE)
        require_makeable(self.user, cure=_CURE)
        taken = f"Another model is just being added to {self.user}"
        with locked(self.user / ".lock", taken, "try again when that is done", _PATIENCE_SECONDS):
            self._require_free(package, overwrite)
            yield self.user / package.file_name

    def _require_free(self, package: ModelPackage, overwrite: bool) -> None:
        if not overwrite:
            for folder in (self.shipped, self.user):
                if (folder / package.file_name).exists():
                    raise ModelError(
                        f"Another model is called {package.reference} already; give the new one another name or"
                        " version, or allow overwriting.",
                        MODEL_EXISTS,
                    )

    def _unknown(self, name: str) -> ModelError:
        known = ", ".join(entry.reference for entry in self.list() if entry.package) or "none"
        return ModelError(f"There is no model '{name}'; known models: {known}.")


def _rank(package: ModelPackage, wanted: set[str]) -> tuple:
    """Higher for more of these labels, of equals for a closer look, of equals for one that was made later."""
    finest_mm = min(max(stage.preprocessing["spacing"]) for stage in package.stages)
    return len(wanted & set(package.label_names)), -finest_mm, package.created, package.version_numbers


def _nothing_fits(labels: Sequence[str], entries: list[ModelEntry], fitting: list[SoundModel]) -> Med3DError:
    """Why there is no default for some labels, and what to do."""
    known = sorted({name for entry in entries if entry.package for name in entry.package.label_names})
    unknown = [name for name in labels if name not in known]
    wanted, broken = " and ".join(labels), [entry.problem for entry in entries if entry.shipped and entry.problem]
    if fitting:
        own = ", ".join(sound.package.reference for sound in fitting)
        return ModelError(f"No model that came with Med3D finds {wanted}; choose one of your own by name: {own}.")
    if broken:
        return ModelError(f"No model finds {wanted}, and one that came with Med3D cannot be used: {broken[0]}")
    if known and unknown:
        return SettingError(f"No model on this computer finds '{unknown[0]}'; they find {', '.join(known)}.")
    if known:
        return ModelError(f"No model finds {wanted} together; ask for one after the other.")
    return ModelError(f"There is no model for {wanted} on this computer; add one, such as `med3d models install FILE`.")


def _same_bytes(a: Path, b: Path) -> bool:
    try:
        with a.open("rb") as first, b.open("rb") as second:
            return sha256_of(first) == sha256_of(second)
    except OSError:
        return False
