"""Prepared cases on disk, so that the next training starts at once and memory holds only what a step looks at.

An entry is a folder, named after a hash of all that it depends on: the bytes of the image and label files, what the
label values mean, the preprocessing, the labels, the code that prepares, and the version of the format. It is written
under another name and renamed when it is whole, so a process that is killed leaves no entry that could be taken for a
good one; an entry that was damaged later is found by its checksums and made again.
"""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Generic

import numpy as np

from Med3DCore.errors import DataError, OutputError
from Med3DCore.geometry import Geometry
from Med3DCore.io.places import CAN_BE_MADE_AGAIN
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.system.folders import make_private
from Med3DCore.system.leftovers import own_name, remove_leftovers
from Med3DCore.training.cases.cache_key import case_key
from Med3DCore.training.cases.case import AnyCase, Case
from Med3DCore.training.cases.prepared import Prepared, PreparedCase, prepare_case

_KEY = r"[0-9a-f]{32}"
_UNFINISHED = ".making-"
_TRIES = 4
_ARRAYS = ("image", "target")
_CURE = (
    "name a folder that is yours and has space in the environment variable MED3D_CACHE, clear this one with `med3d "
    "dataset cache --clear`, or say --no-cache"
)
_FURTHER = "further"  # an array of an entry of several images


def cache_folder() -> Path:
    """The usual place: ``MED3D_CACHE``, or where the platform keeps what can be made again."""
    return CAN_BE_MADE_AGAIN.folder("prepared", "MED3D_CACHE")


@dataclass(frozen=True, eq=False)
class CachedCase(Generic[AnyCase]):
    """A :class:`.Prepared` case whose arrays stay on disk.

    Each use maps the file anew and lets go of it: a thousand cases need neither memory nor a thousand open files.

    Args:
        case: Where it comes from.
        entry: Folder of the entry.
        geometry: Grid of the arrays.
        statistics: How this scan is normalised.
        further_statistics: How the further images of a network that takes several are.
    """

    case: AnyCase
    entry: Path
    geometry: Geometry
    statistics: Statistics
    further_statistics: tuple[Statistics, ...] = ()

    @property
    def image(self) -> np.ndarray:
        """float32 ``[z, y, x]``, read-only."""
        return self._mapped("image")

    @property
    def target(self) -> np.ndarray:
        """uint8 ``[c, z, y, x]``, read-only."""
        return self._mapped("target")

    @property
    def further(self) -> Sequence[tuple[np.ndarray, Statistics]]:
        """float32 ``[z, y, x]``, read-only, each with its statistics."""
        images = self._mapped(_FURTHER) if self.further_statistics else ()
        return list(zip(images, self.further_statistics, strict=True))

    def _mapped(self, name: str) -> np.ndarray:
        file = self.entry / f"{name}.npy"
        try:
            dtype, shape, offset = _layout(file)
            return np.memmap(file, dtype, "r", offset, shape)
        except (OSError, ValueError):
            raise DataError(
                f"The prepared data of the case '{self.case.name}' was removed from {self.entry.parent} while a "
                "training used it; start the training again, which goes on where it was."
            ) from None


class CaseCache:
    """Prepared cases in a folder, which several trainings may use at once.

    Args:
        folder: Made when the first case is stored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        remove_leftovers(self.folder, _UNFINISHED)

    def prepare(self, case: AnyCase, preprocessing: Preprocessing, labels: Sequence[str]) -> CachedCase[AnyCase]:
        """Like :func:`Med3DCore.training.cases.prepared.prepare_case`; the arrays are equal to the last bit.

        Raises:
            DataError: As :func:`.prepare_case`.
            OutputError: The folder cannot be written, or the disk is full.
        """
        return self.keep(case, case_key(case, preprocessing, labels), lambda: prepare_case(case, preprocessing, labels))

    def keep(self, case: AnyCase, key: str, make: Callable[[], PreparedCase]) -> CachedCase[AnyCase]:
        """What is stored under a key, see :mod:`.cache_key`; where there is nothing yet it is made and stored.

        Raises:
            OutputError: The folder cannot be written, or the disk is full.
        """
        made = None
        for _ in range(_TRIES):  # somebody may clear the cache just now
            found = self._load(case, key)
            if found is not None:
                return found
            made = made or make()
            self._store(made, key)
        raise self._unfit("what is written there is not there afterwards")

    def usage(self) -> tuple[int, int]:
        """How many entries there are, and how many bytes they and what was left unfinished take."""
        sizes = []
        for entry in self._entries():
            with suppress(FileNotFoundError):  # it is just finished, or deleted
                sizes += [(file.name, file.stat().st_size) for file in entry.iterdir()]
        return sum(name == "entry.json" for name, _ in sizes), sum(size for _, size in sizes)

    def clear(self) -> None:
        """Delete all entries, and nothing else that may be in the folder, nor what a training is just making.

        Raises:
            OutputError: Something cannot be deleted.
        """
        remove_leftovers(self.folder, _UNFINISHED)
        for entry in self._entries():
            if not entry.name.startswith(_UNFINISHED):
                try:
                    self._discard(entry)
                except OSError as error:
                    raise OutputError(f"{entry} cannot be deleted: {error.strerror}.") from None

    def _entries(self) -> list[Path]:
        folders = [path for path in self.folder.iterdir() if path.is_dir()] if self.folder.is_dir() else []
        return [path for path in folders if path.name.startswith(_UNFINISHED) or re.fullmatch(_KEY, path.name)]

    def _load(self, case: AnyCase, key: str) -> CachedCase[AnyCase] | None:
        """An entry; None if there is none, or it is damaged and was removed."""
        entry = self.folder / key
        if not entry.is_dir():  # looked at first: what another training puts there from now on is whole
            return None
        try:
            facts = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
            further = tuple(Statistics(**each) for each in facts[_FURTHER])
            names = (*_ARRAYS, _FURTHER) if further else _ARRAYS
            if any(_checksum(entry / f"{name}.npy") != facts["checksums"][name] for name in names):
                raise ValueError("checksum")
            geometry = Geometry(
                *(tuple(facts["geometry"][part]) for part in ("size", "spacing", "origin", "direction"))
            )
            return CachedCase(case, entry, geometry, Statistics(**facts["statistics"]), further)
        except (OSError, ValueError, KeyError, TypeError):
            with suppress(OSError):
                self._discard(entry)
            return None

    def _discard(self, entry: Path) -> None:
        """Delete an entry: out of everybody's sight in one step, so that nobody reads half of it."""
        aside = self.folder / own_name(_UNFINISHED)
        with suppress(FileNotFoundError):  # somebody else did
            entry.rename(aside)
            shutil.rmtree(aside)

    def _unfit(self, reason: str) -> OutputError:
        return OutputError(f"Prepared cases cannot be kept in {self.folder}: {reason}; {_CURE}.")

    def _store(self, prepared: PreparedCase, key: str) -> None:
        temporary = self.folder / own_name(_UNFINISHED)
        make_private(self.folder, ours=bool(self._entries()), cure=_CURE)
        try:
            temporary.mkdir(mode=0o700)
            arrays = {name: getattr(prepared, name) for name in _ARRAYS}
            if prepared.further:
                arrays[_FURTHER] = np.stack([image for image, _ in prepared.further])
            for name, array in arrays.items():
                np.save(temporary / f"{name}.npy", array, allow_pickle=False)
            facts = {
                "geometry": asdict(prepared.geometry),
                "statistics": asdict(prepared.statistics),
                "checksums": {name: _checksum(temporary / f"{name}.npy") for name in arrays},
                _FURTHER: [asdict(own) for _, own in prepared.further],
            }
            (temporary / "entry.json").write_text(json.dumps(facts), encoding="utf-8")
            with suppress(OSError):  # another training was faster; its entry is as good
                temporary.rename(self.folder / key)
        except OSError as error:
            raise self._unfit(error.strerror or str(error)) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@lru_cache(maxsize=10_000)
def _layout(file: Path) -> tuple[np.dtype, tuple[int, ...], int]:
    """Type, shape and first byte of an array: to read its header takes longer than to map it."""
    mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    return mapped.dtype, mapped.shape, mapped.offset


def prepare_cases(
    cases: Sequence[Case],
    preprocessing: Preprocessing,
    labels: Sequence[str],
    cache: CaseCache | None = None,
    progress: Progress | None = None,
) -> list[Prepared[Case]]:
    """Cases on the grid of the network, from the cache if there is one.

    Args:
        cases: The cases.
        preprocessing: The model's preprocessing.
        labels: Label name of each output channel.
        cache: Where they are kept, or None to keep them in memory.
        progress: Told after each case; may cancel.

    Raises:
        DataError, OutputError: As :meth:`CaseCache.prepare`.
        Cancelled: The user stopped.
    """
    from Med3DCore.system.distributed import Ranks  # needs torch

    progress = progress or Progress()
    make = prepare_case if cache is None else cache.prepare
    prepared: dict[int, Prepared[Case]] = {}
    for number in Ranks.here().own_first(len(cases)):
        progress.update(len(prepared) / len(cases))
        prepared[number] = make(cases[number], preprocessing, labels)
    return [prepared[number] for number in range(len(cases))]


def _checksum(path: Path) -> int:
    """CRC-32 of a file, read in pieces so that it does not fill the memory."""
    value = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            value = zlib.crc32(piece, value)
    return value
