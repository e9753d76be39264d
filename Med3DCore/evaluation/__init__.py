"""How good a segmentation is: overlap, surface distances, reports."""

from Med3DCore.evaluation.labels import LabelPair, labels_present, pair_by_name
from Med3DCore.evaluation.matching import CaseFiles, match_files
from Med3DCore.evaluation.output import format_table, to_json
from Med3DCore.evaluation.overlap import Overlap, measure_overlap
from Med3DCore.evaluation.report import MEASURES, CaseReport, LabelReport, evaluate
from Med3DCore.evaluation.summary import LabelSummary, MeasureSummary, summarise
from Med3DCore.evaluation.surface import SurfaceDistances, measure_surfaces

__all__ = [
    "MEASURES",
    "CaseFiles",
    "CaseReport",
    "LabelPair",
    "LabelReport",
    "LabelSummary",
    "MeasureSummary",
    "Overlap",
    "SurfaceDistances",
    "evaluate",
    "format_table",
    "labels_present",
    "match_files",
    "measure_overlap",
    "measure_surfaces",
    "pair_by_name",
    "summarise",
    "to_json",
]
