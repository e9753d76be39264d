"""Data sets of the Medical Segmentation Decathlon: a ``dataset.json`` that lists images and labels.

Format: Simpson et al. 2019, arXiv 1902.09063, and http://medicaldecathlon.com. MONAI's lists have the same form with a
list ``"validation"`` of its own, and nnU-Net 1 the same with ``_0000`` behind the name of each image.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from Med3DCore.errors import DataError
from Med3DCore.io.files import ending_of
from Med3DCore.training.cases.case import Case
from Med3DCore.training.data_sets.names import channel_names, named_values


def is_decathlon(description: object) -> bool:
    """Whether the content of a ``dataset.json`` is of this form."""
    training = description.get("training") if isinstance(description, dict) else None
    return isinstance(training, list) and all(isinstance(entry, dict) and "image" in entry for entry in training)


def decathlon_cases(description: dict, path: Path, warn: Callable[[str], None]) -> list[Case]:
    """The labelled cases of such a data set.

    Args:
        description: Content of the ``dataset.json``.
        path: The file.
        warn: Told what is left out.

    Raises:
        DataError: It does not say what the label values mean, or an entry makes no sense.
    """
    values, ignore = named_values(description.get("labels") or {}, path)
    channels = channel_names(description.get("modality") or description.get("channel_names") or "")
    common: dict[str, Any] = {
        "values": values,
        "annotated": tuple(values),
        "ignore": ignore,
        "modality": channels[0],
        "domain": str(description.get("name") or path.parent.name),
        "source": {
            "data": str(description.get("name") or path.parent.name),
            "licence": str(description.get("licence") or description.get("license") or "unknown"),
        },
    }
    if len(channels) > 1:
        warn(
            f"The images of {path.parent} have {len(channels)} channels; Med3D takes the first, {channels[0]}, and not "
            f"{', '.join(channels[1:])}."
        )
    cases = []
    for part, split in (("training", "training"), ("validation", "validation")):
        for entry in description.get(part) or []:
            names = [entry.get(kind) for kind in ("image", "label")] if isinstance(entry, dict) else []
            if not names or not all(isinstance(name, str) and name for name in names):
                raise DataError(f'{path}: an entry of "{part}" names no image and label: {entry}.')
            image = _existing(path.parent / entry["image"])
            name = image.name[: len(image.name) - len(ending_of(image))].removesuffix("_0000")
            cases.append(Case(name, image, path.parent / entry["label"], patient=name, split=split, **common))
    return cases


def _existing(image: Path) -> Path:
    """The image's file; nnU-Net 1 renamed the files but not the entries."""
    ending = ending_of(image)
    renamed = image.with_name(f"{image.name[: len(image.name) - len(ending)]}_0000{ending}")
    return renamed if not image.is_file() and renamed.is_file() else image
