"""What can be segmented: names, colours and SNOMED CT codes of the labels.

Codes are those of Slicer's own terminology, so a result means the same in Slicer, DICOM SEG and here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from Med3DCore.errors import SettingError

Code = tuple[str, str, str]  # (scheme, value, meaning)

ANATOMICAL_STRUCTURE: Code = ("SCT", "123037004", "Anatomical Structure")
LEFT: Code = ("SCT", "7771000", "Left")
RIGHT: Code = ("SCT", "24028007", "Right")


@dataclass(frozen=True)
class Label:
    """One label of a segmentation.

    Args:
        name: Short name used in commands and files, such as ``"liver"``.
        title: Name shown to people.
        colour: RGB, 0 to 255.
        type: SNOMED CT code of the structure.
        category: SNOMED CT code of the kind of structure.
        modifier: SNOMED CT code of the side, or None.
    """

    name: str
    title: str
    colour: tuple[int, int, int]
    type: Code
    category: Code = ANATOMICAL_STRUCTURE
    modifier: Code | None = None

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> Label:
        """The inverse of :meth:`to_dict`."""

        def code(value: list[str]) -> Code:
            scheme, number, meaning = value
            return scheme, number, meaning

        name, title, (red, green, blue) = values["name"], values["title"], values["colour"]
        modifier = values.get("modifier")
        return cls(
            name,
            title,
            (red, green, blue),
            code(values["type"]),
            code(values["category"]),
            None if modifier is None else code(modifier),
        )


_LUNG: Code = ("SCT", "39607008", "Lung")

LABELS: dict[str, Label] = {
    label.name: label
    for label in (
        Label("liver", "Liver", (221, 130, 101), ("SCT", "10200004", "Liver")),
        Label("lungs", "Lungs", (172, 138, 115), _LUNG),
        Label("left_lung", "Left lung", (112, 162, 95), _LUNG, modifier=LEFT),
        Label("right_lung", "Right lung", (202, 164, 140), _LUNG, modifier=RIGHT),
        Label("spleen", "Spleen", (157, 108, 162), ("SCT", "78961009", "Spleen")),
        Label("left_kidney", "Left kidney", (185, 102, 83), ("SCT", "64033007", "Kidney"), modifier=LEFT),
        Label("right_kidney", "Right kidney", (185, 102, 83), ("SCT", "64033007", "Kidney"), modifier=RIGHT),
        Label("heart", "Heart", (206, 110, 84), ("SCT", "80891009", "Heart")),
        Label("spine", "Spine", (226, 202, 134), ("SCT", "421060004", "Spine")),
        Label("ribs", "Ribs", (253, 232, 158), ("SCT", "113197003", "Rib")),
    )
}


def find_labels(names: Iterable[str]) -> tuple[Label, ...]:
    """The labels with the given names, in the given order.

    Raises:
        SettingError: A name is unknown or given twice.
    """
    names = list(names)
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise SettingError(f"Unknown organ '{unknown[0]}'. Known organs: {', '.join(LABELS)}.")
    if len(set(names)) < len(names):
        raise SettingError("Each organ can be asked for only once.")
    return tuple(LABELS[name] for name in names)
