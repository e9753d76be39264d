"""Raw data sets of nnU-Net 2: ``dataset.json``, ``imagesTr/case_0000.nii.gz``, ``labelsTr/case.nii.gz``.

Format: documentation/dataset_format.md of MIC-DKFZ/nnUNet. Labels may be regions, ``"kidney": [1, 2, 3]``, and one may
be called ``ignore``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from Med3DCore.errors import DataError
from Med3DCore.training.cases.case import Case
from Med3DCore.training.data_sets.names import channel_names, named_values


def is_nnunet(description: object) -> bool:
    """Whether the content of a ``dataset.json`` is of this form."""
    return isinstance(description, dict) and {"channel_names", "labels", "file_ending"} <= description.keys()


def nnunet_cases(description: dict, path: Path, warn: Callable[[str], None]) -> list[Case]:
    """The labelled cases of such a data set, with all their channels.

    Args:
        description: Content of the ``dataset.json``.
        path: The file.
        warn: Told what is left out.

    Raises:
        DataError: It does not say what the label values mean, or there are no cases.
    """
    values, ignore = named_values(description["labels"], path)
    channels = channel_names(description["channel_names"])
    ending = "." + str(description["file_ending"]).removeprefix(".")
    if len(channels) > 1:
        warn(
            f"{path.parent} has {len(channels)} channels; a network that takes one gets the first, {channels[0]}, and "
            f"not {', '.join(channels[1:])}."
        )
    name = str(description.get("name") or path.parent.name)
    licence = str(description.get("licence") or description.get("license") or "unknown")
    files = list(_listed(description, path.parent) or _found(ending, len(channels), path.parent, warn))
    if not files:
        raise DataError(f"{path.parent} holds no pair such as imagesTr/case_0000{ending} and labelsTr/case{ending}.")
    return [
        Case(
            case,
            images[0],
            label,
            values,
            tuple(values),
            patient=case,
            source={"data": name, "licence": licence},
            domain=name,
            modality=channels[0],
            ignore=ignore,
            channels=tuple(images[1:]),
        )
        for case, images, label in files
    ]


def _listed(description: dict, folder: Path) -> list[tuple[str, list[Path], Path]]:
    """Cases that the description itself lists under ``"dataset"``."""
    listed = description.get("dataset") or {}
    try:
        return [
            (
                case,
                [folder / entry["images"][0], *(folder / name for name in entry["images"][1:])],
                folder / entry["label"],
            )
            for case, entry in listed.items()
        ]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise DataError(f'{folder / "dataset.json"}: its "dataset" does not list images and labels.') from error


def _found(
    ending: str, channels: int, folder: Path, warn: Callable[[str], None]
) -> Iterator[tuple[str, list[Path], Path]]:
    """Cases by the names of the files; a channel that is missing is told when the case is read."""
    first = f"_0000{ending}"
    images = {path.name.removesuffix(first): path for path in sorted((folder / "imagesTr").glob(f"[!.]*{first}"))}
    labels = {path.name.removesuffix(ending): path for path in sorted((folder / "labelsTr").glob(f"[!.]*{ending}"))}
    for what, names in (("image", images.keys() - labels), ("label", labels.keys() - images)):
        other = "label" if what == "image" else "image"
        for case in sorted(names):
            warn(f"The {what} of the case '{case}' has no {other}; it is left out.")
    for case, image in images.items():
        others = [image.with_name(f"{case}_{channel:04}{ending}") for channel in range(1, channels)]
        if case in labels:
            yield case, [image, *others], labels[case]
