"""A model file as the catalogue lists it, sound or broken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from Med3DCore.errors import ModelError
from Med3DCore.models.archive import SUFFIX
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import load_package
from Med3DCore.models.proof import why_unproven

_LONG = ("provenance", "metrics", "members")


@dataclass(frozen=True)
class ModelEntry:
    """A model file of the catalogue.

    Args:
        path: The file.
        shipped: True if it came with Med3D, False if it is the user's own.
        size: Bytes.
        package: Its description, or None if the file is broken.
        problem: Why it is broken, one sentence, or None.
    """

    path: Path
    shipped: bool
    size: int
    package: ModelPackage | None
    problem: str | None = None

    @property
    def reference(self) -> str:
        """name-version; of a broken file, what its file name says."""
        return self.package.reference if self.package else self.path.name.removesuffix(SUFFIX)

    def to_dict(self) -> dict:
        """Plain values for programs.

        ``unproven`` says why nobody should use it who did not choose it, or is null; ``imported`` whether it runs by
        the rules of the program that it is of; ``channels`` names the images of a patient that it takes, the scan
        first, and is empty for one. Of a sound model, ``model`` is its ``model.json`` but for what may be long:
        provenance, metrics and members.
        """
        package = self.package
        return {
            "reference": self.reference,
            "path": str(self.path),
            "shipped": self.shipped,
            "bytes": self.size,
            "problem": self.problem,
            "unproven": package and why_unproven(package),
            "imported": package is not None and package.is_imported,
            "channels": list(package.channels) if package else [],
            "model": package and {key: value for key, value in package.to_dict().items() if key not in _LONG},
        }

    def answers_to(self, name: str) -> bool:
        """Whether ``name`` is this model's name, name-version or file name."""
        return self.is_exactly(name) or (self.package is not None and name == self.package.name)

    def is_exactly(self, name: str) -> bool:
        """Whether ``name`` is this model's name-version or file name."""
        return name in (self.reference, self.path.name)

    @property
    def sound(self) -> SoundModel | None:
        """The model, if its file can be read."""
        return SoundModel(self.package, self.shipped) if self.package else None

    @property
    def place_in_list(self) -> tuple:
        """By name, then by age; a broken file by what it is called."""
        return (self.sound.package.name, *self.sound.age) if self.sound else (self.reference,)


class SoundModel(NamedTuple):
    """A model whose file can be read."""

    package: ModelPackage
    shipped: bool

    @property
    def age(self) -> tuple:
        """Newer is larger; of equal versions the user's own is."""
        return (self.package.version_numbers, not self.shipped)


def read_entry(path: Path, shipped: bool) -> ModelEntry:
    """The entry of a model's file, broken or not."""
    size = path.stat().st_size if path.exists() else 0  # a link may lead nowhere
    try:
        return ModelEntry(path, shipped, size, load_package(path))
    except ModelError as error:
        return ModelEntry(path, shipped, size, None, str(error))


def sound_models(entries: Iterable[ModelEntry]) -> list[SoundModel]:
    """Those of the entries whose files can be read."""
    return [entry.sound for entry in entries if entry.sound]
