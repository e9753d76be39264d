"""Describe the CTs of the shared data folder as a Med3D data set.

    python tools/draft_livers.py ../shared/data runs/livers --model liver-lungs-0.2.0
    python tools/prepare_data.py ../shared/data runs/livers runs/data [--ill RUN/0.4.0 RUN/NEWER [--both]]

writes ``runs/data/dataset.json`` for ``med3d train``, and label files for the cases whose rule-based lung mask or whose
liver drafted by a model a person looked at, corrected and accepted; a part of each training scan, so that an organ is
cut or missing; and phantoms. With ``--ill``, drafts of two models, livers with tumours are labelled where both agree,
and with ``--both`` all that nobody outlined, unsure at the border alone. The CTs themselves stay where they are.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from liver_labels import BOTH_WRONG, HEART_LINES, UNSURE, label_both, label_liver, label_where_both_agree

from Med3DCore.phantom.data_set import write_phantom_cases

VALUES = {"liver": 1, "lungs": 2}

# Drafts looked at in axial and coronal pictures on 2026-11-20. Left out: acrinflt_001b (bowel gas taken for lung),
# lidc_0314 (a collapsed lobe is missing).
ACCEPTED_DRAFTS = (
    "acrinflt_001a",
    "acrinflt_013",
    "cmbcrc_01068",
    "cptac_c3n00247",
    "lidc_0001",
    "lidc_0002",
    "lidc_0132a",
    "lidc_0132b",
    "lidc_1011",
    "lungfcp_0001",
    "ohif_acrin042",
    "ohif_nlst101287",
)

# Metastases, carcinoma of liver, pancreas and lung. Drafts and labels looked at in pictures on 2026-11-29.
ILL = ("crlm_1004", "crlm_1006", "hcc_006", "hcc_048", "cptac_c3l00189", "lungdx_a0001", "lungdx_a0002")
ILL_WEIGHT = 3.0

# As many as to be a third of what a network sees, beside 6 patients with a labelled liver and 16 with labelled lungs.
PHANTOMS = 32
PHANTOM_WEIGHT = 0.12

# Neither organ is in a pelvis.
PELVES = 8
PELVIS_WEIGHT = 2.0

# What is kept of scans, as parts of the height of the organ that is labelled in them: the upper or the lower one.
# The uppermost 45 % of the lungs lie above any liver.
APICES, LUNG_BASES, LIVER_HALF = 0.45, 0.25, 0.45

# Head, neck and lung apices; a thin slab of the upper chest.
WITHOUT_LIVER = ("acrinflt_001a", "lungfcp_0001")

# What may be lung where nobody labelled the lungs: the rule of the folder's own liver-only labels.
MAY_BE_LUNG_HU = -300

_BY_FIRST = "liver: drafted by liver-lungs-0.2.0, corrected, looked at"
_BY_BOTH = "liver: where liver-lungs-0.4.0 and a later model agree, looked at"

# How often a patient is drawn, beside another's 1: what people outlined more often than drafts, and the only head.
HUMAN_WEIGHT = 6.0
HEAD_WEIGHT = 4.0


def describe(data: Path, livers: Path, out: Path, both: list[Path]) -> list[dict]:
    """One entry per usable case; writes label files for accepted drafts, or for those of two models, into ``out``."""
    entries = []
    for name, info in json.loads((data / "index.json").read_text()).items():
        annotated = set(info["annotated"]) | ({"lungs"} if name in ACCEPTED_DRAFTS else set())
        absent = ["liver"] if name in WITHOUT_LIVER else []
        by = [info["annotation"]] if info["annotated"] else []
        by += ["lungs: rule-based draft, looked at"] if name in ACCEPTED_DRAFTS else []
        label = None if not info.get("labels") else data / info["labels"]
        drafted_liver = name in HEART_LINES and info["split"] == "training"
        if drafted_liver or name in ACCEPTED_DRAFTS:
            drafts = {"lungs": data / info["draft_lungs"]} if name in ACCEPTED_DRAFTS else {}
            drafts |= {"liver": livers / f"{name}_liver.nii.gz"} if drafted_liver else {}
            models = both if name not in BOTH_WRONG else []
            by += [_BY_BOTH if models else _BY_FIRST] if "liver" in drafts else []
            annotated |= set(drafts)
            label = write_label(name, data / info["ct"], label, drafts, models, out / f"{name}_label.nii.gz")
        if label is None:
            continue
        weight = HEAD_WEIGHT if name == "acrinflt_001a" else HUMAN_WEIGHT if info["annotated"] else 1.0
        entries.append(entry_of(name, data, info, label, out, annotated, weight, "; ".join(by)) | {"absent": absent})
    return entries


def entry_of(
    name: str, data: Path, info: dict, label: Path, out: Path, annotated: set[str], weight: float, by: str
) -> dict:
    """A case's entry in the description, from what the folder's index says of it."""
    return {
        "name": name,
        "image": os.path.relpath(data / info["ct"], out),
        "label": os.path.relpath(label, out),
        "values": VALUES,
        "annotated": sorted(annotated),
        "absent": [],
        "ignore": UNSURE,
        "patient": info["patient"],
        "split": info["split"],
        "weight": weight,
        "source": {"data": info["dataset"], "licence": info["licence"], "labels": by},
    }


def write_label(name: str, ct: Path, label: Path | None, drafts: dict[str, Path], both: list[Path], path: Path) -> Path:
    """Write a case's label from what people labelled of its lungs, if they did, and from the drafts of the rest."""
    image = sitk.ReadImage(str(ct))
    values = np.zeros(image.GetSize()[::-1], np.uint8)
    if "liver" in drafts and both:
        older, newer = read_livers(name, both)
        values = label_both(image, older, newer, name, ill=False)
    elif "liver" in drafts:
        values = label_liver(image, sitk.ReadImage(str(drafts["liver"])), name)
    if "lungs" in drafts or label is not None:
        lungs = sitk.GetArrayFromImage(sitk.ReadImage(str(drafts.get("lungs", label))))
        values[lungs > 0 if "lungs" in drafts else lungs == VALUES["lungs"]] = VALUES["lungs"]
    else:
        values[(values == 0) & (sitk.GetArrayFromImage(image) <= MAY_BE_LUNG_HU)] = 255
    result = sitk.GetImageFromArray(values)
    result.CopyInformation(image)
    sitk.WriteImage(result, str(path))
    return path


def read_livers(name: str, folders: list[Path]) -> list[sitk.Image]:
    """A case's drafts by two models."""
    return [sitk.ReadImage(str(folder / f"{name}_liver.nii.gz")) for folder in folders]


def describe_ill(data: Path, drafts: list[Path], out: Path, both: bool) -> list[dict]:
    """Entries for the livers with tumours, of which two models made drafts; writes their labels into ``out``."""
    index, entries = json.loads((data / "index.json").read_text()), []
    for name in ILL:
        info, path = index[name], out / f"{name}_label.nii.gz"
        image = sitk.ReadImage(str(data / info["ct"]))
        older, newer = read_livers(name, drafts)
        if both:
            values = label_both(image, older, newer, name, ill=True)
        else:
            values = label_where_both_agree(image, older, newer)
        values[(values == 0) & (sitk.GetArrayViewFromImage(image) <= MAY_BE_LUNG_HU)] = 255
        label = sitk.GetImageFromArray(values)
        label.CopyInformation(image)
        sitk.WriteImage(label, str(path))
        entries.append(entry_of(name, data, info, path, out, {"liver"}, ILL_WEIGHT, _BY_BOTH))
    return entries


def write_parts(entries: list[dict], out: Path) -> list[dict]:
    """Of each training scan the upper or, every second time, the lower part of its organ; entries for them."""
    parts = []
    for number, entry in enumerate(entry for entry in entries if entry["split"] == "training"):
        organ = "lungs" if "lungs" in entry["annotated"] else "liver"
        upper = number % 2 == 0
        part = LIVER_HALF if organ == "liver" else APICES if upper else LUNG_BASES
        name = f"{entry['name']}_{'upper' if upper else 'lower'}"
        files = {"image": out / f"{name}_ct.nii.gz", "label": out / f"{name}_label.nii.gz"}
        label = sitk.ReadImage(str(out / entry["label"]))
        slices = np.flatnonzero((sitk.GetArrayViewFromImage(label) == VALUES[organ]).any(axis=(1, 2)))
        keep = _slices(slices, label.GetSize()[2], part, upper == (label.GetDirection()[8] > 0))
        for kind, path in files.items():
            sitk.WriteImage(sitk.ReadImage(str(out / entry[kind]))[:, :, keep], str(path))
        absent = ["liver"] if organ == "lungs" and upper else entry["absent"]
        parts.append({**entry, "name": name, "absent": absent, **{kind: path.name for kind, path in files.items()}})
    return parts


def _slices(organ: np.ndarray, count: int, part: float, last: bool) -> slice:
    """The slices of a part of an organ, and all beyond it."""
    height = round(part * (organ[-1] - organ[0] + 1))
    return slice(int(organ[-1]) - height + 1, count) if last else slice(0, int(organ[0]) + height)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with index.json")
    parser.add_argument("livers", type=Path, help="folder that draft_livers.py wrote")
    parser.add_argument("out", type=Path, help="folder for dataset.json and label files")
    parser.add_argument("--ill", type=Path, nargs=2, help="folders of draft_livers.py by two models, for ill livers")
    parser.add_argument("--both", action="store_true", help="label every drafted liver by the folders of --ill")
    arguments = parser.parse_args()
    if arguments.both and not arguments.ill:
        parser.error("--both wants the drafts of two models; name their folders with --ill")
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    both = arguments.ill if arguments.both else []
    entries = describe(arguments.data.resolve(), arguments.livers.resolve(), out, both)
    entries += write_parts(entries, out)
    entries += write_phantom_cases(out, PHANTOMS, PHANTOM_WEIGHT)
    entries += write_phantom_cases(out, PELVES, PELVIS_WEIGHT, region="pelvis")
    if arguments.ill:
        entries += describe_ill(arguments.data.resolve(), arguments.ill, out, arguments.both)
    (out / "dataset.json").write_text(json.dumps({"cases": entries}, indent=1))
    print(f"{len(entries)} cases described in {out / 'dataset.json'}")


if __name__ == "__main__":
    main()
