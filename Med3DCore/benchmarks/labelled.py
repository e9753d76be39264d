"""Data sets of images and label files, as a task of segmentation describes where they lie."""

from __future__ import annotations

from pathlib import Path

from Med3DCore.benchmarks.patterns import fields_of, filled, find_files
from Med3DCore.benchmarks.task import BenchmarkTask, check_object
from Med3DCore.errors import DataError, SettingError
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.description import check_cases

CASE = "case"


def labelled_cases(task: BenchmarkTask, folder: Path, progress: Progress | None = None) -> list[Case]:
    """The cases of a task's data set, each with its label file.

    Args:
        task: A task of segmentation. Its ``data`` has ``images``, the pattern of each channel's files by the channel's
            name, the pattern ``label`` and, where they differ from the field ``{case}``, those of ``name`` and
            ``patient``; and ``modality``.
        folder: Where the data set is.
        progress: May cancel.

    Raises:
        SettingError: ``data`` is not as it must be.
        DataError: There is no case, or a file is missing.
    """
    images = _checked(task)
    (_, first), *further = images.items()
    name = task.data.get("name", f"{{{CASE}}}")
    cases = []
    for image, fields in find_files(folder, first, progress):
        root = Path(fields[""])
        cases.append(
            Case(
                name=filled(name, fields),
                image=image,
                label=root / filled(task.data["label"], fields),
                values=dict(task.labels),
                annotated=tuple(task.labels),
                patient=filled(task.data.get("patient", name), fields),
                source={"data": task.source["data"], "licence": task.source["licence"]},
                modality=task.data.get("modality", "CT"),
                channels=tuple(root / filled(pattern, fields) for _, pattern in further),
            )
        )
    _require_labels(cases)
    check_cases(cases, folder, progress)
    return cases


def _checked(task: BenchmarkTask) -> dict[str, str]:
    """The patterns of the images of a case, by channel, if all of ``data`` is as it must be."""
    texts = dict.fromkeys(("name", "patient", "modality"), "a text")
    try:
        check_object(task.data, "'data'", {"images": "an object", "label": "a text"}, texts)
        images = task.data["images"]
        check_object(images, "'images'", dict.fromkeys(images, "a text"), {})
        if not images:
            raise ValueError('\'images\' names no image; write such as {"CT": "images/{case}.nii.gz"}')
        known = fields_of(next(iter(images.values())))
        others = {key: task.data[key] for key in ("label", "patient") if key in task.data}
        for key, pattern in {**images, **others, "name": task.data.get("name", f"{{{CASE}}}")}.items():
            if unknown := fields_of(pattern) - known:
                raise ValueError(f"'{key}' has the field {{{unknown.pop()}}}, which the first of 'images' lacks")
    except ValueError as error:
        raise SettingError(f"The task {task.file}: {error}.") from None
    return images


def _require_labels(cases: list[Case]) -> None:
    missing = [case for case in cases if case.label is None or not case.label.exists()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(cases)} images have no label, such as {missing[0].label}; unpack the labels, too, "
            "or take the images without labels away."
        )
