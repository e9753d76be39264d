"""A label for any name that a file or a person may give, and our name of it."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from Med3DCore.anatomy import STRUCTURES
from Med3DCore.geometry import triple
from Med3DCore.labels import LABELS, LEFT, RIGHT, Code, Label

# What Slicer calls a segment that nobody gave a meaning to.
TISSUE: Code = ("SCT", "85756007", "Tissue")
_SIDES = {"l": "left", "lt": "left", "li": "left", "r": "right", "rt": "right", "re": "right"}
# How planning systems and people elsewhere call organs, as words of ours. Beside it, names of AAPM TG-263.
_SYNONYMS = {
    **dict.fromkeys(("hepar", "leber", "foie", "higado", "hígado", "fegato"), "liver"),
    **dict.fromkeys(("lunge", "lungen", "pulmo", "pulmone", "pulmon", "pulmón", "poumon", "polmone"), "lung"),
    **dict.fromkeys(("milz", "rate", "bazo", "milza"), "spleen"),
    **dict.fromkeys(("niere", "rein", "riñon", "riñón", "rene"), "kidney"),
    **dict.fromkeys(("herz", "coeur", "corazon", "corazón", "cuore"), "heart"),
    **dict.fromkeys(("links", "gauche", "izquierdo", "sinistro", "sinistra", "sin"), "left"),
    **dict.fromkeys(("rechts", "droit", "droite", "derecho", "destro", "destra", "dex"), "right"),
}
_SAYS_NOTHING = {"ct", "auto", "total", "both", "bilateral", "whole", "organ"}


def label_for(title: str, position: int) -> Label:
    """Med3D's own label of that name or title, else one of :mod:`.anatomy`, else one without a special meaning.

    Args:
        title: Such as ``"liver"``, ``"Left lung"`` or ``"lesion 3"``.
        position: Its place among the labels of its file, from 0; gives a new label its colour.
    """
    name = slug(title)
    if name in LABELS:
        return LABELS[name]
    if known := _anatomical(name):
        return known
    # Steps of the golden ratio keep neighbours' hues far apart however many there are.
    rgb = colorsys.hsv_to_rgb((0.1 + 0.618034 * position) % 1.0, 0.55, 0.9)
    return Label(name, title, triple(round(255 * channel) for channel in rgb), TISSUE, TISSUE)


def slug(title: str) -> str:
    """A title as a name for commands and files: ``"Left lung"`` is ``"left_lung"``."""
    return re.sub(r"\W+", "_", title.strip().lower()).strip("_") or "segment"


def our_name(title: str) -> str:
    """Med3D's own name of a label where there is one, else the title as a name of ours.

    Words may come in any order, in singular or plural, and sides may be shortened.

    Examples:
        >>> our_name("Lung"), our_name("kidney_left"), our_name("Lung_L"), our_name("Liver tumour")
        ('lungs', 'left_kidney', 'left_lung', 'liver_tumour')
    """
    return _BY_WORDS.get(_words(slug(title)), slug(title))


def label_of_words(title: str, position: int) -> Label:
    """As :func:`label_for`, of our name of it; a label that is none of ours keeps what it was called.

    Examples:
        >>> label_of_words("Kidney_L", 0).title, label_of_words("bowel loop", 1).title
        ('Left kidney', 'bowel loop')
    """
    ours = our_name(title)
    return label_for(title if ours == slug(title) else ours, position)


def _words(name: str) -> frozenset[str]:
    words = name.split("_")
    sides = _SIDES if len(words) > 1 else {}
    plain = (sides.get(word, word.removesuffix("s") if len(word) > 3 else word) for word in words)
    return frozenset(_SYNONYMS.get(word, word) for word in plain if word not in _SAYS_NOTHING)


_BY_WORDS = {_words(name): name for name in LABELS}
_STRUCTURES = {_words(slug(name)): structure for name, structure in STRUCTURES.items()}


def _anatomical(name: str) -> Label | None:
    """A label of that name for a structure that is known by its words, on the side that they say."""
    words = _words(name)
    if words in _STRUCTURES:
        return _STRUCTURES[words].label(name, None)
    sides = [side for side in (LEFT, RIGHT) if side[2].lower() in words]
    found = _STRUCTURES.get(words - {"left", "right"})
    return found.label(name, sides[0]) if found and len(sides) == 1 else None


def described_label(
    title: str, position: int, codes: tuple[Code, Code, Code | None] | None, rgb: Sequence[float] | None
) -> Label:
    """The label that a file describes: one of Med3D's own if its codes, or else its name, say so.

    Args:
        title: What the file calls it; it keeps that.
        position: Its place among the labels of the file, from 0.
        codes: Category, type and modifier, or None.
        rgb: Colour, 0 to 255, or None.
    """
    known = next((label for label in LABELS.values() if codes and _same(label, codes)), None)
    if known is None:
        known = label_of_words(title, position)
        # A name means one of our organs only if the codes do not say something else.
        if codes and codes[1][1] not in (known.type[1], TISSUE[1], ""):
            known = replace(known, name=slug(title), category=codes[0], type=codes[1], modifier=codes[2])
    red, green, blue = known.colour if rgb is None else rgb
    return replace(known, title=title, colour=(round(red), round(green), round(blue)))


def _same(label: Label, codes: tuple[Code, Code, Code | None]) -> bool:
    modifier = (label.modifier or ("", "", ""))[1]
    return label.type[1] == codes[1][1] and modifier == (codes[2] or ("", "", ""))[1]


def distinct(labels: Iterable[Label]) -> list[Label]:
    """With a name for each that no other has."""
    taken: set[str] = set()
    found = []
    for label in labels:
        name, copy = label.name, 2
        while name in taken:
            name, copy = f"{label.name}_{copy}", copy + 1
        taken.add(name)
        found.append(replace(label, name=name))
    return found
