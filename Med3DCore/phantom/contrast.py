"""How bright every tissue is: one table for each way of scanning.

CT values are HU, measured in the public CTs of the project's data card (fat -104 +- 8, lung -716 to -933, liver 76 to
143 portal venous, muscle 55) and, where those do not show them, textbook values. MR values are arbitrary units in the
order in which T1- and T2-weighted images show the tissues.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from Med3DCore.errors import SettingError


@dataclass(frozen=True)
class Tissue:
    """The look of one tissue.

    Args:
        mean: Mean value over patients.
        spread: Standard deviation of a patient's mean.
        texture: Standard deviation of the 1 cm pattern inside the tissue.
        gravity: Increase per mm towards the back (blood sinks in the lung).
        ceiling: Largest value that the pattern reaches (stool is gas in paste: dark spots, no bright ones).
    """

    mean: float
    spread: float = 0.0
    texture: float = 0.0
    gravity: float = 0.0
    ceiling: float = np.inf


@dataclass(frozen=True)
class Contrast:
    """A table of tissues and the values of a scanner's picture.

    Args:
        tissues: Look of every tissue by name.
        air: Value outside the body.
        lowest: Smallest value that can be stored.
        highest: Largest value that can be stored.
        couch: Value of the table's shell, or None where the table does not show.
    """

    tissues: Mapping[str, Tissue]
    air: float = -1000.0
    lowest: float = -1024.0
    highest: float = 3071.0
    couch: float | None = -150.0

    def of_patient(self, rng: np.random.Generator) -> dict[str, Tissue]:
        """The tissues of one patient: means drawn, spread left out."""
        return {
            name: replace(t, mean=float(t.mean + t.spread * rng.standard_normal()), spread=0.0)
            for name, t in self.tissues.items()
        }


_NATIVE = {
    "air": Tissue(-990),
    "airway": Tissue(-985, 5),
    "skin": Tissue(10, 10),
    "fat": Tissue(-104, 5, 5),
    "visceral_fat": Tissue(-102, 5, 8),
    "gland": Tissue(20, 15, 25),
    "muscle": Tissue(54, 4, 8),
    "soft": Tissue(38, 4, 6),
    "vessel_wall": Tissue(30, 5),
    "lung": Tissue(-855, 30, 16, 0.25),
    "lung_vessel": Tissue(30, 5),
    "cortical_bone": Tissue(640, 70, 40),
    "trabecular_bone": Tissue(170, 45, 30),
    "marrow": Tissue(20, 20, 10),
    "cartilage": Tissue(105, 20, 15),
    "disc": Tissue(85, 8, 6),
    "cord": Tissue(32, 4, 4),
    "myocardium": Tissue(45, 4, 3),
    "left_blood": Tissue(42, 4, 2),
    "right_blood": Tissue(42, 4, 2),
    "pulmonary_blood": Tissue(42, 4, 2),
    "caval_blood": Tissue(40, 4, 2),
    "portal_blood": Tissue(40, 4, 2),
    "hepatic_blood": Tissue(38, 4, 2),
    "liver": Tissue(58, 8, 3),
    "liver_lesion": Tissue(35, 8, 6),
    "spleen": Tissue(48, 4, 3),
    "kidney_cortex": Tissue(33, 3, 2),
    "kidney_medulla": Tissue(32, 3, 2),
    "urine": Tissue(6, 4, 1),
    "bile": Tissue(10, 5, 1),
    "pancreas": Tissue(40, 6, 12),
    "thyroid": Tissue(95, 12, 6),
    "gut_wall": Tissue(38, 5, 4),
    "gut_fluid": Tissue(18, 10, 8),
    "food": Tissue(35, 25, 25),
    "stool": Tissue(-70, 60, 150, ceiling=70.0),
    "nodule": Tissue(28, 15, 10),
    "effusion": Tissue(12, 6, 3),
}

_ARTERIAL = _NATIVE | {
    "muscle": Tissue(58, 4, 8),
    "vessel_wall": Tissue(60, 8),
    "lung_vessel": Tissue(180, 40),
    "myocardium": Tissue(95, 12, 6),
    "left_blood": Tissue(330, 50, 6),
    "right_blood": Tissue(260, 60, 25),
    "pulmonary_blood": Tissue(290, 60, 8),
    "caval_blood": Tissue(75, 20, 12),
    "portal_blood": Tissue(110, 20, 4),
    "hepatic_blood": Tissue(62, 8, 3),
    "liver": Tissue(72, 9, 3),
    "liver_lesion": Tissue(48, 12, 8),
    "spleen": Tissue(125, 15, 22),
    "kidney_cortex": Tissue(185, 20, 6),
    "kidney_medulla": Tissue(75, 12, 4),
    "pancreas": Tissue(100, 10, 12),
    "thyroid": Tissue(180, 20, 8),
    "gut_wall": Tissue(70, 12, 6),
}

_PORTAL = _NATIVE | {
    "muscle": Tissue(60, 5, 8),
    "vessel_wall": Tissue(60, 8),
    "lung_vessel": Tissue(110, 20),
    "myocardium": Tissue(110, 12, 6),
    "left_blood": Tissue(155, 20, 4),
    "right_blood": Tissue(150, 20, 6),
    "pulmonary_blood": Tissue(150, 20, 4),
    "caval_blood": Tissue(140, 20, 10),
    "portal_blood": Tissue(168, 18, 3),
    "hepatic_blood": Tissue(160, 18, 3),
    "liver": Tissue(104, 16, 4),
    "liver_lesion": Tissue(58, 12, 8),
    "spleen": Tissue(116, 12, 4),
    "kidney_cortex": Tissue(185, 18, 5),
    "kidney_medulla": Tissue(165, 18, 5),
    "pancreas": Tissue(92, 10, 12),
    "thyroid": Tissue(150, 15, 6),
    "gut_wall": Tissue(85, 12, 6),
}


def _like(values: Mapping[str, float], relative_spread: float = 0.06, texture: float = 0.05) -> dict[str, Tissue]:
    """An MR table: means as given, spread and texture in proportion, every other tissue as muscle."""
    means = {name: values.get(name, values["muscle"]) for name in _NATIVE}
    return {name: Tissue(mean, relative_spread * mean, texture * mean) for name, mean in means.items()}


_MR_T1 = _like(
    {"muscle": 330, "air": 8, "airway": 8, "fat": 820, "visceral_fat": 790, "skin": 300, "lung": 45, "lung_vessel": 120}
    | {"cortical_bone": 40, "trabecular_bone": 430, "marrow": 640, "disc": 260, "cord": 300, "liver": 440}
    | {"liver_lesion": 260, "spleen": 270, "kidney_cortex": 360, "kidney_medulla": 250, "urine": 120, "bile": 190}
    | {"pancreas": 430, "left_blood": 110, "right_blood": 110, "pulmonary_blood": 100, "caval_blood": 130}
    | {"portal_blood": 140, "hepatic_blood": 140, "gut_fluid": 150, "effusion": 130, "stool": 220, "food": 260}
)

_MR_T2 = _like(
    {"muscle": 150, "air": 8, "airway": 8, "fat": 480, "visceral_fat": 450, "skin": 160, "lung": 40, "lung_vessel": 60}
    | {"cortical_bone": 30, "trabecular_bone": 240, "marrow": 380, "disc": 420, "cord": 330, "liver": 190}
    | {"liver_lesion": 420, "spleen": 380, "kidney_cortex": 390, "kidney_medulla": 500, "urine": 950, "bile": 900}
    | {"pancreas": 260, "left_blood": 60, "right_blood": 70, "pulmonary_blood": 60, "caval_blood": 80}
    | {"portal_blood": 90, "hepatic_blood": 80, "gut_fluid": 800, "effusion": 880, "stool": 260, "food": 420}
)

CONTRASTS: dict[str, Contrast] = {
    "native": Contrast(_NATIVE),
    "arterial": Contrast(_ARTERIAL),
    "portal": Contrast(_PORTAL),
    "mr_t1": Contrast(_MR_T1, air=8.0, lowest=0.0, highest=4095.0, couch=None),
    "mr_t2": Contrast(_MR_T2, air=8.0, lowest=0.0, highest=4095.0, couch=None),
}


def find_contrast(contrast: str | Contrast) -> Contrast:
    """The table with the given name, or the given table itself.

    Raises:
        SettingError: The name is unknown, or the table lacks a tissue.
    """
    if isinstance(contrast, Contrast):
        missing = [name for name in _NATIVE if name not in contrast.tissues]
        if missing:
            raise SettingError(
                f"The phantom's contrast table has no tissue '{missing[0]}'; start from a built-in table."
            )
        return contrast
    if contrast not in CONTRASTS:
        raise SettingError(f"Unknown contrast '{contrast}' of the phantom. Known: {', '.join(CONTRASTS)}.")
    return CONTRASTS[contrast]
