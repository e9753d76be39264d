"""``med3d info``: what is this scan, and is anything about it unusual?"""

from __future__ import annotations

import argparse
import json

import numpy as np

from Med3DCore.cli.arguments import add_choice_of_volume, add_offset, add_orientation, path
from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io import Header, Series, choose_series, find_scan, letter_of, list_series, read_found
from Med3DCore.io.orientation import orientation_letters
from Med3DCore.preprocessing.hounsfield import looks_like_ct, offset_hint
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

_CONVENTION = "the way the axes x, y and z of the array run: Left/Right, Posterior/Anterior, Superior/Inferior"
_SAMPLES = 2_000_000
_THICK_MM = 5.0
_FEW_SLICES = 16


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add ``med3d info`` to the command line."""
    parser = subparsers.add_parser(
        "info",
        help="tell what a scan is and what is unusual about it",
        description="Tell what a scan is, where it lies in the patient, and what is unusual about it.",
    )
    parser.add_argument(
        "input", metavar="INPUT", type=path, help="NIfTI, NRRD or MetaImage file, DICOM folder, or one DICOM file"
    )
    add_choice_of_volume(parser)
    add_orientation(parser)
    add_offset(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the facts about ``args.input``. A folder with several series and no choice is listed only.

    Raises:
        Med3DError: It cannot be read, see :func:`.read_volume`.
    """
    progress = Progress()
    facts: dict = {"file": str(args.input)}
    scan, series = None, list_series(args.input, progress) if args.input.is_dir() else []
    facts |= {"series": [_series_facts(one, letter_of(place)) for place, one in enumerate(series)]} if series else {}
    try:
        scan = _find(series, args, progress)
    except VolumeError:
        if not series or args.series is not None or args.acquisition is not None:
            raise
        facts["choice"] = _advice(series)
    if scan is not None:
        volume = read_found(scan, args.input, progress, args.orientation, args.offset)
        facts |= _origin_facts(scan) | describe(volume)
        facts["orientation_from"] = _orientation_source(scan, args.orientation)
        facts["unusual"] = progress.warnings + unusual(volume, facts.get("modality"))
    else:
        facts["unusual"] = progress.warnings
    print(json.dumps(facts, indent=2) if args.json else _text(facts))
    return 0


def _find(series: list[Series], args: argparse.Namespace, progress: Progress) -> Header | Series | None:
    if series:
        return choose_series(series, args.series, args.input, args.acquisition)
    return find_scan(args.input, args.series, progress, args.frame, args.acquisition)


def _advice(series: list[Series]) -> str:
    example = next((letter_of(place) for place, one in enumerate(series) if one.usable), None)
    if example is None:
        return "none of them can be read as a volume; export what is missing again"
    return f"one of them with --series, such as --series {example}"


def _series_facts(series: Series, letter: str) -> dict:
    return {
        "letter": letter,
        **{name: value for name, value in series.facts().items() if name != "left_out"},
        "size": list(series.geometry.size),
        "spacing_mm": list(series.geometry.spacing),
        "problem": series.why_not,
        "usable": series.usable,
        "summary": str(series),
    }


def _origin_facts(scan: Header | Series) -> dict:
    if isinstance(scan, Series):
        return {"format": "DICOM", "modality": scan.modality, "uid": scan.uid, "scan": scan.facts()}
    return {"format": scan.format, "stored_as": scan.pixel}


def _orientation_source(scan: Header | Series, said: str | None) -> str:
    """``"option"``, ``"header"``, or ``"assumed"`` where the file does not say how the patient lies."""
    if said is not None:
        return "option"
    return "header" if scan.is_oriented else "assumed"


def describe(volume: Volume) -> dict:
    """Facts about a volume as plain values: size, spacing, place, and the distribution of its values.

    Percentiles come from about two million voxels spread evenly.
    """
    geometry, array = volume.geometry, volume.array
    sample = array.ravel()[:: max(1, array.size // _SAMPLES)]
    percentiles = np.percentile(sample, (1, 50, 99))
    return {
        "size": list(geometry.size),
        "spacing_mm": [float(value) for value in geometry.spacing],
        "extent_mm": [float(n * step) for n, step in zip(geometry.size, geometry.spacing, strict=True)],
        "orientation": orientation_letters(geometry),
        "oblique_degrees": oblique_degrees(geometry),
        "handedness": "right" if np.linalg.det(geometry.direction_matrix) > 0 else "left",
        "voxel_type": str(array.dtype),
        "range": [float(array.min()), float(array.max())],
        "percentiles_1_50_99": [float(value) for value in percentiles],
        "memory_mb": array.nbytes / 1e6,
    }


def oblique_degrees(geometry: Geometry) -> float:
    """The largest angle between an array axis and the patient axis nearest to it; 0 for a plain CT."""
    nearest = np.abs(geometry.direction_matrix).max(axis=0)
    return float(np.degrees(np.arccos(np.clip(nearest, -1.0, 1.0))).max())


def unusual(volume: Volume, modality: str | None = None) -> list[str]:
    """Sentences about what a model trained on plain CTs may not expect.

    Args:
        volume: Any volume.
        modality: DICOM modality, or None if not known.
    """
    geometry, sentences = volume.geometry, []
    spacing = geometry.spacing
    if modality not in (None, "CT"):
        sentences.append(f"It is {modality}, not CT; models for CT do not fit.")
    elif not looks_like_ct(volume.array):
        values = "Its values do not look like a CT in Hounsfield units (air near -1000, soft tissue near 50)"
        sentences.append(f"{values}{offset_hint(volume.array)}.")
    if max(spacing) > _THICK_MM:
        sentences.append(f"Its voxels are {max(spacing):g} mm long on one side; small structures cannot be seen.")
    if geometry.size[2] < _FEW_SLICES:
        sentences.append(f"It has only {geometry.size[2]} slices; it may not hold a whole organ.")
    extent = min(n * step for n, step in zip(geometry.size[:2], spacing[:2], strict=True))
    if extent < 200:
        sentences.append(f"Its slices are only {extent:.0f} mm wide; the body may be cut off.")
    if (angle := oblique_degrees(geometry)) > 1:
        sentences.append(f"Its axes are turned by {angle:.1f} degrees from the patient's.")
    if np.linalg.det(geometry.direction_matrix) < 0:
        sentences.append("Its axes are left-handed; programs that ignore this show it mirrored.")
    return sentences


def _text(facts: dict) -> str:
    lines = [("File", facts["file"])]
    for one in facts.get("series", []):
        lines.append((f"Series {one['letter']}", one["summary"]))
    if "size" in facts:
        lines += _volume_lines(facts)
    else:
        lines += [("Note", sentence) for sentence in facts["unusual"]]
        lines.append(("Choose", facts["choice"]))
    return "\n".join(f"{name:<12} {value}" for name, value in lines)


def _volume_lines(facts: dict) -> list[tuple[str, str]]:
    def joined(values: list[float], form: str) -> str:
        return " x ".join(format(value, form) for value in values)

    kind = facts["format"] + "".join(f", {facts[key]}" for key in ("modality", "stored_as") if facts.get(key))
    oblique = facts["oblique_degrees"]
    tilt = "" if oblique < 0.05 else f", {oblique:.1f} degrees oblique"
    told = {"assumed": "not given, {} assumed", "option": "{} as said by --orientation", "header": "{}"}
    orientation = told[facts["orientation_from"]].format(facts["orientation"])
    low, high = facts["range"]
    percentiles = ", ".join(format(value, "g") for value in facts["percentiles_1_50_99"])
    lines = [
        ("Format", kind),
        ("Size", f"{joined(facts['size'], 'd')} voxels"),
        ("Spacing", f"{joined(facts['spacing_mm'], '.4g')} mm"),
        ("Extent", f"{joined(facts['extent_mm'], '.1f')} mm"),
        ("Orientation", f"{orientation}{tilt}, {facts['handedness']}-handed ({_CONVENTION})"),
        ("Values", f"{low:g} to {high:g}; 1 %, 50 % and 99 % lie below {percentiles}"),
        ("Memory", f"{facts['memory_mb']:.0f} MB as {facts['voxel_type']}"),
    ]
    return lines + [("Note", sentence) for sentence in facts["unusual"]]
