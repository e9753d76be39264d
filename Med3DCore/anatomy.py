"""Titles, colours and SNOMED CT codes of what models of others find, by the names that TotalSegmentator gave it.

What Med3D's own models find is in :mod:`.labels`. Codes are those that Slicer's terminology has for these
structures, but for the subclavian arteries, whose code there is that of the right one, and the superior vena cava. The
first sacral vertebra has no code of its own in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from Med3DCore.labels import ANATOMICAL_STRUCTURE, Code, Label

Colour = tuple[int, int, int]

ALTERED_STRUCTURE: Code = ("SCT", "49755003", "Morphologically Altered Structure")
_BONE: Colour = (241, 214, 145)
_MUSCLE: Colour = (192, 104, 88)
_ARTERY: Colour = (216, 101, 79)
_VEIN: Colour = (0, 151, 206)
_GLAND: Colour = (244, 186, 150)


@dataclass(frozen=True)
class Structure:
    """Something to see in a scan; where it is paired, whatever its side.

    Args:
        title: Name shown to people, and the code's meaning unless that is given.
        code: Of SNOMED CT.
        colour: RGB, 0 to 255.
        meaning: Of the code.
        category: SNOMED CT code of the kind of structure.
    """

    title: str
    code: str
    colour: Colour
    meaning: str = ""
    category: Code = ANATOMICAL_STRUCTURE

    def label(self, name: str, side: Code | None) -> Label:
        """It as a label of that name, on that side if it has one."""
        title = f"{side[2]} {self.title[0].lower()}{self.title[1:]}" if side else self.title
        code = ("SCT", self.code, self.meaning or self.title)
        return Label(name, title, self.colour, code, self.category, side)


_ORGANS = {
    "gallbladder": Structure("Gallbladder", "28231008", (139, 150, 98)),
    "stomach": Structure("Stomach", "69695003", (216, 132, 105)),
    "pancreas": Structure("Pancreas", "15776009", (249, 180, 111)),
    "kidney": Structure("Kidney", "64033007", (185, 102, 83)),
    "kidney cyst": Structure("Kidney cyst", "367643001", (205, 205, 100), "Cyst", ALTERED_STRUCTURE),
    "adrenal gland": Structure("Adrenal gland", "23451007", _GLAND),
    "thyroid gland": Structure("Thyroid gland", "69748006", (162, 115, 105)),
    "prostate": Structure("Prostate", "41216001", (230, 158, 140)),
    "uterus": Structure("Uterus", "35039007", (255, 181, 158)),
    "urinary bladder": Structure("Urinary bladder", "89837001", (222, 154, 132)),
    "esophagus": Structure("Esophagus", "32849002", (211, 171, 143)),
    "duodenum": Structure("Duodenum", "38848004", (255, 253, 229)),
    "small bowel": Structure("Small bowel", "30315005", (205, 167, 142), "Small Intestine"),
    "colon": Structure("Colon", "71854001", (204, 168, 143)),
    "trachea": Structure("Trachea", "44567001", (182, 228, 255)),
    "lung upper lobe": Structure("Upper lobe of lung", "45653009", (172, 138, 115)),
    "lung middle lobe right": Structure("Middle lobe of right lung", "72481006", (202, 164, 140)),
    "lung lower lobe": Structure("Lower lobe of lung", "90572001", (224, 186, 162)),
    "brain": Structure("Brain", "12738006", (250, 250, 225)),
    "face": Structure("Face", "89545001", (177, 122, 101)),
    "spinal cord": Structure("Spinal cord", "2748008", (244, 214, 49)),
    "heart myocardium": Structure("Myocardium", "74281007", (206, 110, 84)),
    "heart atrium left": Structure("Left atrium", "82471001", (243, 167, 136)),
    "heart atrium right": Structure("Right atrium", "73829009", (210, 115, 89)),
    "heart ventricle left": Structure("Left ventricle of heart", "87878005", (224, 127, 95)),
    "heart ventricle right": Structure("Right ventricle of heart", "53085002", (181, 85, 57)),
    "atrial appendage left": Structure(
        "Left atrial appendage", "33626005", (231, 145, 114), "Left auricular appendage"
    ),
}
_VESSELS = {
    "aorta": Structure("Aorta", "15825003", (224, 97, 76)),
    "pulmonary artery": Structure("Pulmonary artery", "81040000", (0, 122, 171)),
    "pulmonary vein": Structure("Pulmonary vein", "122972007", (186, 77, 64)),
    "brachiocephalic trunk": Structure("Brachiocephalic trunk", "12691009", (196, 121, 79), "Brachiocephalic artery"),
    "subclavian artery": Structure("Subclavian artery", "36765005", _ARTERY),
    "common carotid artery": Structure("Common carotid artery", "32062004", (216, 121, 99)),
    "brachiocephalic vein": Structure("Brachiocephalic vein", "8887007", (0, 161, 196)),
    "superior vena cava": Structure("Superior vena cava", "48345005", _VEIN),
    "inferior vena cava": Structure("Inferior vena cava", "64131007", _VEIN),
    "portal vein and splenic vein": Structure("Portal vein and splenic vein", "110765007", (0, 171, 226)),
    "iliac artery": Structure("Common iliac artery", "73634005", _ARTERY),
    "iliac vein": Structure("Common iliac vein", "46027005", _VEIN),
}
_BONES = {
    "humerus": Structure("Humerus", "85050009", _BONE),
    "scapula": Structure("Scapula", "79601000", _BONE),
    "clavicle": Structure("Clavicle", "51299004", _BONE),
    "femur": Structure("Femur", "71341001", _BONE),
    "hip": Structure("Hip", "29836001", _BONE),
    "sacrum": Structure("Sacrum", "54735007", _BONE),
    "skull": Structure("Skull", "89546000", _BONE),
    "sternum": Structure("Sternum", "56873002", _BONE),
    "costal cartilage": Structure("Costal cartilages", "50016007", (111, 184, 210), "Costal cartilage"),
    "vertebrae s1": Structure("S1 vertebra", "51282000", (226, 202, 134), "Vertebra"),
}
_MUSCLES = {
    "gluteus maximus": Structure("Gluteus maximus", "181674001", _MUSCLE, "Gluteus maximus muscle"),
    "gluteus medius": Structure("Gluteus medius", "78333006", (206, 118, 98), "Gluteus medius muscle"),
    "gluteus minimus": Structure("Gluteus minimus", "75297007", (178, 92, 78), "Gluteus minimus muscle"),
    "autochthon": Structure("Deep muscle of back", "244849004", (188, 95, 76)),
    "iliopsoas": Structure("Iliopsoas", "68455001", (200, 112, 92), "Iliopsoas muscle"),
}
_VERTEBRAE = {
    "c": "14806007 39976000 113205007 5329002 36978003 36054005 87391001",
    "t": ("64864005 53733008 1626008 73071006 56401006 45296009 62487009 11068009 82687006 7610001 12989004 23215003"),
    "l": "66794005 14293000 36470004 11994002 49668003",
}
_RIBS = {
    "First": "48535007",
    "Second": "78247007",
    "Third": "25888004",
    "Fourth": "25523003",
    "Fifth": "15339008",
    "Sixth": "59558009",
    "Seventh": "24915002",
    "Eighth": "5953002",
    "Ninth": "22565002",
    "Tenth": "77644006",
    "Eleventh": "58830002",
    "Twelfth": "43993008",
}


def _vertebrae() -> Iterator[tuple[str, Structure]]:
    for letter, codes in _VERTEBRAE.items():
        for number, code in enumerate(codes.split(), start=1):
            # From dark to light and back, so that neighbours can be told apart.
            colour = (226, 202, 134) if number % 2 else (255, 236, 170)
            yield f"vertebrae {letter}{number}", Structure(f"{letter.upper()}{number} vertebra", code, colour)


def _ribs() -> Iterator[tuple[str, Structure]]:
    for number, (ordinal, code) in enumerate(_RIBS.items(), start=1):
        colour = (253, 232, 158) if number % 2 else (235, 208, 130)
        yield f"rib {number}", Structure(f"Rib {number}", code, colour, f"{ordinal} rib")


STRUCTURES: dict[str, Structure] = {**_ORGANS, **_VESSELS, **_BONES, **_MUSCLES, **dict(_vertebrae()), **dict(_ribs())}
"""By the words of their names, in TotalSegmentator's order; paired ones without a side."""

STRUCTURES |= {
    alias: STRUCTURES[name]
    for alias, name in {
        "gall bladder": "gallbladder",
        "adrenal": "adrenal gland",
        "thyroid": "thyroid gland",
        "bladder": "urinary bladder",
        "oesophagus": "esophagus",
        "small intestine": "small bowel",
        "clavicula": "clavicle",
        "iliac vena": "iliac vein",
        "postcava": "inferior vena cava",
    }.items()
}
