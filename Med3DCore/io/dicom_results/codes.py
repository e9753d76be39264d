"""What a coded entry of a SEG or RTSTRUCT says, in SNOMED CT's own codes also where a file has the older ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Med3DCore.io.label_names import TISSUE
from Med3DCore.labels import LABELS, Code

if TYPE_CHECKING:
    from pydicom import Dataset

_OURS = {TISSUE, *(code for label in LABELS.values() for code in (label.type, label.modifier) if code)}


def code_of(item: Dataset) -> Code:
    """Scheme, value and meaning of an item of a code sequence.

    SNOMED's former identifiers (``SRT``, such as T-62000 for the liver; PS3.16, 8.1), which most published SEG files
    have, become ours where they mean the same.
    """
    from pydicom.sr.coding import Code as Coded

    scheme, value = item.get("CodingSchemeDesignator", ""), item.get("CodeValue", "")
    meaning = item.get("CodeMeaning", "")
    if scheme in ("SRT", "SNM3", "99SDM"):
        said = Coded(value, "SRT", meaning)
        ours = next((code for code in _OURS if Coded(code[1], code[0], code[2]) == said), None)
        return ours or (scheme, value, meaning)
    return scheme, value, meaning
