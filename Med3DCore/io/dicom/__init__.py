"""DICOM files and folders: one slice or many a file, raw, deflated, JPEG, JPEG-LS, JPEG 2000 or RLE."""

from Med3DCore.io.dicom.choice import choose_series, letter_of, series_of_file
from Med3DCore.io.dicom.read import read_series
from Med3DCore.io.dicom.series import Series, list_series, series_of_files

__all__ = ["Series", "choose_series", "letter_of", "list_series", "read_series", "series_of_file", "series_of_files"]
