"""Which series of several is meant: never another than the user would expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from Med3DCore.errors import VolumeError
from Med3DCore.io.dicom.copies import are_copies
from Med3DCore.io.dicom.series import Series, series_beside
from Med3DCore.progress import Progress

_SHOWN = 8
_SAME_MM = 1e-3


def choose_series(
    series: Sequence[Series], wanted: str | int | None, folder: Path, acquisition: str | int | None = None
) -> Series:
    """One of the series of a folder, with ``left_out`` telling of the others.

    Args:
        series: From :func:`.list_series`.
        wanted: Its letter in the list (:func:`letter_of`), its DICOM series number, its UID, or a unique beginning of
            that, up to after a dot; None takes the only series, or the only usable one, unless that would pass over a
            CT, or something at least half as large, that has a flaw.
        folder: For the message.
        acquisition: Only parts of series with this acquisition number, phase, or whatever else tells them apart.

    Raises:
        VolumeError: None or several fit, or the one to be expected cannot be read; the sentence lists them.
    """
    note = ""
    fitting = [one for one in series if acquisition is None or one.part_value == str(acquisition)]
    if not fitting:
        parts = sorted({one.part_value for one in series if one.part_value})
        known = f"it knows {', '.join(parts)}" if parts else "its series are not parted into acquisitions; leave it out"
        raise VolumeError(f"{folder} holds no acquisition {acquisition}; {known}.")
    if wanted is None:
        found = fitting if len(fitting) == 1 else [one for one in fitting if one.usable]
        if len(found) > 1 and all(_is_copy(one, found[0]) for one in found[1:]):
            note, found = f"{len(found)} series are equal to the last voxel; the first of them was taken", found[:1]
    else:
        found = [one for one in _meant(series, str(wanted)) if one in fitting]
    if len(found) != 1:
        raise _unclear(series, found, wanted, folder)
    others = [one for one in fitting if one is not found[0]]
    if wanted is None and (flawed := [one for one in others if _passed_over(one, found[0], others)]):
        raise _refused(series, found[0], flawed, folder)
    chosen = _telling(series, found[0], asked=(wanted, acquisition) != (None, None))
    return replace(chosen, notes=(*chosen.notes, note)) if note else chosen


def letter_of(place: int) -> str:
    """What a series is called by its place in a list from 0: no number, which would be taken for its series number.

    Examples:
        >>> letter_of(0), letter_of(25), letter_of(26)
        ('A', 'Z', 'AA')
    """
    more, last = divmod(place, 26)
    return (letter_of(more - 1) if more else "") + chr(ord("A") + last)


def _meant(series: Sequence[Series], wanted: str) -> list[Series]:
    """Those with that letter, else that series number, else that UID, else that beginning of it."""
    ways: tuple[Callable[[Series], bool], ...] = (
        lambda one: _letter(series, one) == wanted.upper(),
        lambda one: str(one.number) == wanted,
        lambda one: one.uid == wanted,
        lambda one: "." in wanted and one.uid.startswith(wanted),
    )
    return next((found for way in ways if (found := [one for one in series if way(one)])), [])


def series_of_file(
    path: Path,
    wanted: str | int | None = None,
    acquisition: str | int | None = None,
    progress: Progress | None = None,
) -> Series:
    """The series, out of the same folder, that one DICOM file belongs to.

    Args:
        path: The file.
        wanted: Which of several series in it, as for :func:`choose_series`.
        acquisition: The same.
        progress: Takes the warnings that name what cannot be read.

    Raises:
        VolumeError: The file is no readable image, or it holds several volumes.
    """
    series = series_beside(path, progress)
    own = [one for one in series if path in one.files]
    if len(own) == 1 and wanted is None and acquisition is None:
        return _telling([one for one in series if one.uid == own[0].uid], own[0], asked=False)
    return choose_series(own, wanted, path, acquisition)


def _telling(series: Sequence[Series], chosen: Series, asked: bool) -> Series:
    """The chosen one, which tells of the others; with a note, if nobody asked for it, where these are parts of it."""
    others = [one for one in series if one is not chosen and (not asked or one.uid == chosen.uid)]
    left_out = tuple(f"{_letter(series, one)}: {one}" for one in others)
    lost = 0 if asked else _lost(others, chosen)
    note = f"images of another plane, size or acquisition that it holds besides were left out ({lost})"
    return replace(chosen, left_out=left_out, notes=(*chosen.notes, note) if lost else chosen.notes)


def _is_copy(one: Series, other: Series) -> bool:
    """Whether two series that can be read are of the same voxels at the same place."""
    alike = (one.slices, one.missing, one.modality) == (other.slices, other.missing, other.modality)
    if not alike or not one.geometry.is_close(other.geometry, _SAME_MM):
        return False
    return are_copies(zip(one.images, other.images, strict=True))


def _passed_over(one: Series, chosen: Series, others: Sequence[Series]) -> bool:
    """Whether somebody would have expected a series that cannot be read, or a part of one, rather than the chosen."""
    if one.usable or not one.scan:
        return False
    if one.uid == chosen.uid:
        return 2 * _lost(others, chosen) >= chosen.slices
    return (one.slices > 1 and one.modality == "CT" != chosen.modality) or 2 * one.slices >= max(4, chosen.slices)


def _lost(others: Sequence[Series], chosen: Series) -> int:
    """How many images of the chosen series are elsewhere."""
    return sum(one.slices for one in others if one.uid == chosen.uid and not one.scout)


def _refused(series: Sequence[Series], chosen: Series, flawed: Sequence[Series], folder: Path) -> VolumeError:
    return VolumeError(
        f"{folder} holds {_listed(series, flawed)}, which cannot be read; export that again in full, or, if another "
        f"is meant, choose it, such as `--series {_letter(series, chosen)}` for {chosen}."
    )


def _unclear(series: Sequence[Series], found: Sequence[Series], wanted: str | int | None, folder: Path) -> VolumeError:
    asked = "" if wanted is None else f" and '{wanted}' means {'several' if found else 'none'} of them"
    usable = [one for one in (found or series) if one.usable]
    if not usable and wanted is None:
        return VolumeError(f"{folder} holds {len(series)} series, but no volume that can be read: {_listed(series)}.")
    example = _letter(series, usable[0] if usable else series[0])
    advice = f"choose one, such as `--series {example}`"
    if (
        len({one.uid for one in usable}) == 1
        and len({one.part_value for one in usable}) == len(usable) > 1
        and usable[0].part_kind != "study"
    ):
        advice += f" or `--acquisition {usable[0].part_value}`"
    return VolumeError(f"{folder} holds {len(series)} series{asked}; {advice}: {_listed(series)}.")


def _letter(series: Sequence[Series], one: Series) -> str:
    return letter_of(next(place for place, other in enumerate(series) if other is one))


def _listed(series: Sequence[Series], some: Sequence[Series] | None = None) -> str:
    some = series if some is None else some
    listed = [f"{_letter(series, one)}: {one}" for one in some]
    more = f"; and {len(some) - _SHOWN} more, which `med3d info` lists" if len(some) > _SHOWN else ""
    return "; ".join(listed[:_SHOWN]) + more
