"""Reading and writing of volumes and label maps, checked so that nothing wrong gets in and nothing half gets out."""

from Med3DCore.io.dicom import Series, choose_series, letter_of, list_series
from Med3DCore.io.formats import read_header
from Med3DCore.io.header import Header
from Med3DCore.io.label_map import read_label_map, write_label_map, write_label_maps
from Med3DCore.io.read import find_scan, read_found, read_volume
from Med3DCore.io.write import check_output, write_volume, written_beside

__all__ = [
    "Header",
    "Series",
    "check_output",
    "choose_series",
    "find_scan",
    "letter_of",
    "list_series",
    "read_found",
    "read_header",
    "read_label_map",
    "read_volume",
    "write_label_map",
    "write_label_maps",
    "write_volume",
    "written_beside",
]
