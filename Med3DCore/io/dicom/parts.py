"""Which images make a volume together: the series that they name, and its acquisitions or phases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from Med3DCore.io.dicom.copies import different, without_copies
from Med3DCore.io.dicom.image import PARALLEL, DicomImage
from Med3DCore.io.dicom.location import located
from Med3DCore.io.dicom.planes import groups_of_planes
from Med3DCore.io.dicom.stack import Stack, stack_images
from Med3DCore.io.dicom.steps import SAME_PLACE

_OWN_UIDS = "each of its images has a series UID of its own; they were taken as one series"


@dataclass(frozen=True)
class Part:
    """Images of a series that are a volume, or as near to one as they come.

    Args:
        stack: They, in order.
        kind: What tells this part of the series from its others, such as ``"acquisition"``; empty if nothing does.
        value: And its value, such as ``"2"``.
    """

    stack: Stack
    kind: str = ""
    value: str = ""


def parts_of(images: Sequence[DicomImage]) -> list[Part]:
    """Sort images into volumes.

    Images of one series, plane, size and spacing belong together. If several lie at one place, or they make no even
    steps, what else tells them apart decides: study, acquisition number, temporal position, echo, ..., time. Copies,
    which are equal to the last pixel, count once.
    """
    groups = groups_of_planes(_unique(images))
    strays = _of_one_series(groups)
    taken = {id(image) for group in strays for image in group}
    parts = [part for group in groups if id(group[0]) not in taken for part in _split(located(group))]
    return parts + [Part(_noted(_renamed(group), _OWN_UIDS)) for group in strays]


def _unique(images: Sequence[DicomImage]) -> list[DicomImage]:
    """Without copies of files; a name that a careless export gave to several images does not make them copies."""
    alike: dict[tuple, list[DicomImage]] = defaultdict(list)
    for image in images:
        place = () if image.position is None else tuple(np.round(image.position, 3))
        alike[image.series_uid, image.image_uid or str(image.path), image.frame, place].append(image)
    return [image for same in alike.values() for image in different(same)]


def _of_one_series(groups: list[list[DicomImage]]) -> list[list[DicomImage]]:
    """Images that have a series UID each, as some anonymizers give them, but make a volume together."""
    kin: dict[tuple, list[DicomImage]] = defaultdict(list)
    for group in groups:
        one = group[0]
        if len(group) == 1 and not one.localizer and one.position is not None and one.axes is not None:
            plane = tuple(np.round(one.axes.ravel() / (4 * PARALLEL)))
            kin[one.kin, one.series_number, one.description, one.modality, one.size, one.spacing, plane].append(one)
    return [images for images in kin.values() if len(images) > 2 and stack_images(images).problem is None]


def _renamed(group: list[DicomImage]) -> list[DicomImage]:
    uid = min(image.series_uid for image in group)
    return [replace(image, series_uid=uid) for image in group]


def _noted(images: Sequence[DicomImage], note: str) -> Stack:
    stack = stack_images(images)
    return replace(stack, notes=(*stack.notes, note))


def _split(group: list[DicomImage]) -> list[Part]:
    group = sorted(group, key=lambda image: image.kin != group[0].kin)  # of copies, all of one study are kept
    whole = stack_images(group)
    if whole.problem is None or any(image.fault or image.position is None for image in group):
        return [Part(whole)]
    places = _places(whole)
    fewer = without_copies(places)
    if len(fewer) == len(places) < len(group):
        return _split_copied(group, fewer)
    most = 1 + max(2, *(len(there) for there in places))
    for kind in group[0].marks:
        if parts := _split_by(group, kind, partial(_mark, kind), most):
            return parts
    if len(fewer := without_copies(places, of_one_kind=True)) < len(group):
        return _split_copied(group, fewer)
    return (whole.doubled and _split_in_turn(group, len(places))) or [Part(whole)]


def _split_copied(group: list[DicomImage], fewer: list[DicomImage]) -> list[Part]:
    note = f"{len(group) - len(fewer)} of its images are copies of others and count once"
    return [replace(part, stack=replace(part.stack, notes=(*part.stack.notes, note))) for part in _split(fewer)]


def _mark(kind: str, image: DicomImage) -> str:
    return image.marks[kind]


def _places(stack: Stack) -> list[list[DicomImage]]:
    """The images at each place."""
    normal = stack.geometry.direction_matrix[:, 2]
    places: list[list[DicomImage]] = []
    last = -np.inf
    for image in stack.images:
        at = float(image.position @ normal)
        if at - last < SAME_PLACE:
            places[-1].append(image)
        else:
            places.append([image])
        last = at
    return places


def _split_by(group: Sequence[DicomImage], kind: str, value_of: Callable[[DicomImage], str], most: int) -> list[Part]:
    """The parts with one value each; none if they are too many, or no better than the whole."""
    values: dict[str, list[DicomImage]] = defaultdict(list)
    for image in group:
        values[value_of(image)].append(image)
    if not 1 < len(values) <= most:
        return []
    stacks = {value: stack_images(images) for value, images in values.items()}
    if any(stack.doubled for stack in stacks.values()) or all(stack.problem for stack in stacks.values()):
        return []
    return [Part(stack, kind, value) for value, stack in sorted(stacks.items(), key=lambda item: _sortable(item[0]))]


def _split_in_turn(group: Sequence[DicomImage], places: int) -> list[Part]:
    """Phases that were taken one after the other, all of the same slices, as time or instance number tells."""
    ordered = sorted(group, key=lambda image: image.order)
    turns = {id(image): str(1 + i // places) for i, image in enumerate(ordered)}
    ends = range(places, len(group), places)
    if places < 3 or len(group) % places or any(ordered[i - 1].order == ordered[i].order for i in ends):
        return []
    return _split_by(group, "acquisition", lambda image: turns[id(image)], len(group) // places)


def _sortable(value: str) -> tuple[int, float, str]:
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value
