"""A set of pictures to learn from: a folder for each class, or pictures with masks, as a folder or a zip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.training.pictures.decode import DICOM, PICTURES, open_picture, pixels_of
from Med3DCore.training.pictures.source import Source, open_source

UNKNOWN = 255
"""Value of a mask where nobody knows."""

_TRAINING = ("train", "training")
_HELD_OUT = ("val", "valid", "validation", "test", "testing")
_MASKS = ("masks", "labels")
_IMAGES = "images"


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows.

    Args:
        name: Its file within the set.
        kind: Number of its class; of a set with masks 0.
        mask: The mask's file within the set, or None.
        held_out: Whether it is to check on and not to learn from.
    """

    name: str
    kind: int = 0
    mask: str | None = None
    held_out: bool = False


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures of a folder or zip.

    Args:
        source: Where they lie.
        classes: Names of the classes, or of a mask's values.
        pictures: All of them.
        has_masks: Whether each has a mask ``[y, x]`` of class numbers instead of one class.
    """

    source: Source
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    has_masks: bool = False

    @property
    def name(self) -> str:
        """Of the folder or zip, without an ending."""
        return self.source.path.stem if self.source.path.is_file() else self.source.path.resolve().name

    @property
    def training(self) -> list[Picture]:
        """Those to learn from."""
        return [picture for picture in self.pictures if not picture.held_out]

    @property
    def held_out(self) -> list[Picture]:
        """Those to check on."""
        return [picture for picture in self.pictures if picture.held_out]


def read_picture_set(path: Path, held_out: float = 0.1, seed: int = 0) -> PictureSet:
    """Find the pictures of a folder or zip, and what each shows.

    Either a folder for each class, or ``images`` and ``masks`` with equally named files, whose values are classes (255:
    unknown). Above them may be ``train`` and ``val`` or ``test``, and above those any folders with nothing beside them.

    Args:
        path: The folder or zip.
        held_out: Part of each class that is held out where no folder says so; at least one picture.
        seed: Seed of the choice.

    Raises:
        DataError: There is no such folder or zip, or its pictures are not in such an order; which one is named.
    """
    source = open_source(path)
    names = [name for name in source.names() if name.lower().endswith((*PICTURES, *DICOM))]
    if not names:
        raise DataError(f"There is no picture (PNG, JPEG, DICOM) in {path}.")
    places = [PurePosixPath(name).parts for name in names]
    while len({place[0] for place in places}) == 1 and min(map(len, places)) > 1:
        places = [place[1:] for place in places]
    split = [_split_of(place[0]) if len(place) > 1 else None for place in places]
    if None in split:
        split = [None] * len(places)
    else:
        places = [place[1:] for place in places]
    if {place[0] for place in places} - {_IMAGES, *_MASKS}:
        classes, pictures = _by_class(path, names, places, split)
        has_masks = False
    else:
        classes, pictures = _with_masks(source, names, places, split)
        has_masks = True
    if not any(picture.held_out for picture in pictures):
        pictures = _hold_out(pictures, held_out, seed)
    found = PictureSet(source, classes, tuple(pictures), has_masks)
    _require_enough(found)
    return found


def _split_of(folder: str) -> bool | None:
    """Whether a folder's name says that it is held out; None if it says nothing."""
    return {**dict.fromkeys(_TRAINING, False), **dict.fromkeys(_HELD_OUT, True)}.get(folder.lower())


def _by_class(
    path: Path, names: Sequence[str], places: Sequence[tuple[str, ...]], split: Sequence[bool | None]
) -> tuple[tuple[str, ...], list[Picture]]:
    loose = next((name for name, place in zip(names, places, strict=True) if len(place) < 2), None)
    if loose:
        raise DataError(
            f"{path} has no folder for each class: {loose} lies in none. Give a folder that holds one folder of "
            "pictures for each class, or images and masks."
        )
    classes = tuple(sorted({place[0] for place in places}))
    number = {name: i for i, name in enumerate(classes)}
    pictures = [
        Picture(name, number[place[0]], held_out=bool(held))
        for name, place, held in zip(names, places, split, strict=True)
    ]
    return classes, pictures


def _with_masks(
    source: Source, names: Sequence[str], places: Sequence[tuple[str, ...]], split: Sequence[bool | None]
) -> tuple[tuple[str, ...], list[Picture]]:
    """Pictures and masks of the same name but for the ending, in the same part of the set."""
    masks: dict[tuple[bool | str | None, ...], str] = {}
    images: dict[tuple[bool | str | None, ...], str] = {}
    for name, place, held in zip(names, places, split, strict=True):
        key = (held, *place[1:-1], PurePosixPath(place[-1]).stem)
        kind = images if place[0] == _IMAGES else masks
        if key in kind:
            raise DataError(f"{name} and {kind[key]} in {source.path} have the same name but for the ending; keep one.")
        kind[key] = name
    for one, other, what in ((images, masks, "mask"), (masks, images, "picture")):
        alone = next((name for key, name in one.items() if key not in other), None)
        if alone:
            raise DataError(f"{alone} in {source.path} has no {what} of the same name; add or remove it.")
    highest = max(_highest(source, name) for name in masks.values())
    pictures = [Picture(name, 0, masks[key], bool(key[0])) for key, name in images.items()]
    return tuple(map(str, range(highest + 1))), pictures


def read_mask(source: Source, name: str) -> np.ndarray:
    """Class numbers of a mask, uint8 ``[y, x]``.

    Raises:
        DataError: It is damaged, or no map of numbers from 0 to 255.
    """
    array = pixels_of(open_picture(source.read(name), name, keep_numbers=True), name)
    if array.ndim != 2 or array.max(initial=0) > UNKNOWN:
        raise DataError(f"{name} in {source.path} is no mask: it must be grey, with a class's number in each pixel.")
    return array.astype(np.uint8)


def _hold_out(pictures: Sequence[Picture], share: float, seed: int) -> list[Picture]:
    """The pictures with a share of each class held out, at least one if there are two."""
    rng, chosen = np.random.default_rng(seed), set()
    for kind in sorted({picture.kind for picture in pictures}):
        own = [number for number, picture in enumerate(pictures) if picture.kind == kind]
        count = min(max(1, round(share * len(own))), len(own) - 1)
        chosen |= set(rng.permutation(own)[:count].tolist())
    return [replace(picture, held_out=number in chosen) for number, picture in enumerate(pictures)]


def _require_enough(found: PictureSet) -> None:
    """Refuse what nothing can be learned from.

    Raises:
        DataError: There is one class, or a class with a single picture to learn from.
    """
    where = found.source.path
    if len(found.classes) < 2:
        raise DataError(f"{where} has a single class ({', '.join(found.classes)}); to learn takes at least two.")
    if found.has_masks:
        if len(found.training) < 2:
            raise DataError(
                f"{where} has {len(found.training)} pictures with masks to learn from; at least 2 are needed."
            )
        return
    counts = Counter(picture.kind for picture in found.training)
    few = next((number for number in range(len(found.classes)) if counts[number] < 2), None)
    if few is not None:
        raise DataError(
            f"The class '{found.classes[few]}' of {where} has {counts[few]} picture to learn from; at least 2 a class "
            "are needed, besides those to check on. Add pictures or remove the class's folder."
        )


def _highest(source: Source, name: str) -> int:
    array = read_mask(source, name)
    return int(array[array != UNKNOWN].max(initial=0))
