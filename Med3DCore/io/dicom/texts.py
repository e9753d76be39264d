"""In which letters a DICOM file is written: Specific Character Set (0008,0005), PS3.3 C.12.1.1.2."""

from __future__ import annotations

_CODINGS = {
    "ISO_IR 13": "shift_jis",
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 166": "tis_620",
    "ISO 2022 IR 13": "iso2022_jp_3",
    "ISO 2022 IR 58": "gb2312",
    "ISO 2022 IR 87": "iso2022_jp_2",
    "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 159": "iso2022_jp_2",
    "GB18030": "gb18030",
    "GBK": "gbk",
}


def coding_of(character_set: str) -> str:
    """Python's name of what a character set is written in; the last one named is the one that goes beyond ASCII.

    Examples:
        >>> coding_of("ISO_IR 100"), coding_of(r"\\ISO 2022 IR 87"), coding_of("")
        ('latin_1', 'iso2022_jp_2', 'utf_8')
    """
    name = character_set.split("\\")[-1].strip()
    return _CODINGS.get(name) or _CODINGS.get(name.replace("ISO 2022 IR", "ISO_IR"), "utf_8")
