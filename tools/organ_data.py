"""Describe the scans of ``organ_drawings.json``, and others, as a Med3D data set of spleen and kidneys.

    python tools/organ_labels.py ../shared/data runs/organs
    python tools/organ_data.py ../shared/data runs/organs [--drafts MODEL]

writes ``runs/organs/dataset.json`` for ``med3d train``: the drawn scans (those held out are for validation), parts of
scans that show none of the organs, and phantoms. With ``--drafts``, organs that a model found in other scans are
labels, too: their borders and what lies next to them are unsure.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from organ_labels import DRAWINGS, ORGANS, UNSURE, largest
from prepare_data import entry_of
from scipy import ndimage

from Med3DCore.inference.segment import segment
from Med3DCore.io import read_volume, write_label_map
from Med3DCore.phantom.data_set import write_phantom_cases

VALUES = {organ: value for value, organ in enumerate(ORGANS, start=1)}

# How often a scan is drawn, beside a draft's 1; the only one with a colon full of contrast medium beside the kidneys.
DRAWN_WEIGHT = 2.0
BRIGHT_COLON, BRIGHT_COLON_WEIGHT = "crlm_1006", 3.0

PHANTOMS = {None: 15, "abdomen": 15, "torso": 14}  # of any region, and of two
PHANTOM_WEIGHT = 0.08

# Where nothing is there: from this slice up (counted from the feet) of heads, necks and upper chests...
NOTHING_FROM = {
    "acrinflt_001a": 0,
    "lungfcp_0001": 0,
    "lctsc_s1-101": 65,
    "lctsc_s1-103": 75,
    "lidc_1011": 50,
    "lungdx_a0001": 60,
}

# ... and of these from this part of the height of the lungs, which is above any spleen.
NOTHING_ABOVE = (
    "lidc_0001",
    "lidc_0002",
    "lidc_0314",
    "lctsc_s1-102",
    "lctsc_s1-202",
    "ohif_nlst101287",
    "lungdx_a0002",
    "cptac_c3n00247",
    "ohif_acrin042",
    "acrinflt_013",
    "cmbcrc_01068",
)
UPPER_LUNGS = 0.6
ACROSS = (slice(None), slice(None))

# ... and of this below the given slice, below the kidneys; the only head once more, its skull alone (x, y, z), or
# patches hold the air around it, and the brain is taken for a spleen.
NOTHING_BELOW = {"acrinflt_001b": 64}
SKULLS = {"acrinflt_001a": (slice(50, 112), slice(12, 84), slice(62, None))}
NOTHING_WEIGHT = {("acrinflt_001a", "upper"): 1.5, ("acrinflt_001a", "head"): 12.0, ("acrinflt_001b", "lower"): 2.0}
USUAL_WEIGHT = 0.6

# Chests that end above the kidneys: one with a bright aorta, one with a tumour of the lung.
NO_KIDNEY = ("cmbcrc_01068", "lungdx_a0002")

# Drafts looked at in axial and coronal slices on 2026-11-29 and -30, with the organs that are right in them; of one
# only slices below the given one count.
ACCEPTED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("lits_w1", "lctsc_s1-102", "lctsc_s1-103", "lctsc_s1-202", "lidc_0001", "lidc_0132a"), ORGANS),
    **dict.fromkeys(("lidc_1011", "lungdx_a0001", "lits_00", "lits_09", "lidc_0002", "ohif_nlst101287"), ORGANS),
    "ohif_acrin042": ("left_kidney",),
}
ONLY_BELOW = {"lungdx_a0001": 25}

# A draft is sure two voxels and more from its border; fat is no organ, however near.
_OPENING, _NEAR, _FAT_HU, _ORGAN_HU = 2, 2, -150, -20


def describe_drawn(index: dict, data: Path, out: Path) -> list[dict]:
    """The drawn scans, whose labels ``organ_labels.py`` wrote into ``out``."""
    entries = []
    for name, case in json.loads(DRAWINGS.read_text()).items():
        weight = BRIGHT_COLON_WEIGHT if name == BRIGHT_COLON else DRAWN_WEIGHT
        entry = _entry(name, index[name], data, out, weight, "drawn with thresholds, seeds and cuts, looked at")
        organs = [organ for organ in ORGANS if organ in case["organs"]]
        entries.append(entry | {"annotated": organs, "split": "validation" if case["held_out"] else "training"})
    return entries


def describe_nothing(index: dict, data: Path, out: Path) -> list[dict]:
    """Parts of scans without any of the organs, written into ``out``."""
    parts = {(name, "upper"): (*ACROSS, slice(start, None)) for name, start in NOTHING_FROM.items()}
    parts |= {(name, "lower"): (*ACROSS, slice(end)) for name, end in NOTHING_BELOW.items()}
    parts |= {(name, "head"): box for name, box in SKULLS.items()}
    for name in NOTHING_ABOVE:
        lungs = _turned(data / (index[name].get("draft_lungs") or index[name]["labels"]))
        slices = np.flatnonzero((sitk.GetArrayViewFromImage(lungs) > 0).any(axis=(1, 2)))
        start = int(slices[0] + UPPER_LUNGS * (slices[-1] - slices[0]))
        parts[name, "upper"] = (*ACROSS, slice(start, None))
    entries = []
    for (name, side), box in parts.items():
        part = _turned(data / index[name]["ct"])[box]
        files = {"image": f"{name}_{side}_ct.nii.gz", "label": f"{name}_{side}_label.nii.gz"}
        sitk.WriteImage(part, str(out / files["image"]))
        _write_empty(part, out / files["label"])
        weight = NOTHING_WEIGHT.get((name, side), USUAL_WEIGHT)
        entry = _entry(name, index[name], data, out, weight, "nothing is there")
        entries.append(entry | files | {"name": f"{name}_{side}", "absent": list(ORGANS)})
    for name in NO_KIDNEY:
        _write_empty(sitk.ReadImage(str(data / index[name]["ct"])), out / f"{name}_label.nii.gz")
        entry = _entry(name, index[name], data, out, 1.0, "no kidney is there")
        entries.append(entry | {"annotated": list(ORGANS[1:]), "absent": list(ORGANS[1:])})
    return entries


def _write_empty(like: sitk.Image, path: Path) -> None:
    sitk.WriteImage(sitk.Cast(like * 0, sitk.sitkUInt8), str(path))


def describe_drafts(index: dict, data: Path, out: Path, model: str) -> list[dict]:
    """Scans in which a model found the organs; their labels are written into ``out``."""
    entries = []
    for name, organs in ACCEPTED.items():
        draft = out / f"{name}_draft.nii.gz"
        write_label_map(segment(read_volume(data / index[name]["ct"]), list(ORGANS), model).labels, draft)
        ct, found = _turned(data / index[name]["ct"]), _turned(draft)
        label = sitk.GetImageFromArray(
            _sure_label(sitk.GetArrayFromImage(ct), sitk.GetArrayFromImage(found), ONLY_BELOW.get(name))
        )
        label.CopyInformation(ct)
        files = {"image": os.path.relpath(data / index[name]["ct"], out), "label": f"{name}_draft_label.nii.gz"}
        sitk.WriteImage(label, str(out / files["label"]))
        entry = _entry(name, index[name], data, out, 1.0, "drafted by a model, looked at; borders unsure")
        entries.append(entry | files | {"name": f"{name}_draft", "annotated": list(organs)})
    return entries


def _sure_label(hu: np.ndarray, found: np.ndarray, below: int | None) -> np.ndarray:
    """What is surely an organ of a draft, and where it is unsure; of slices below the given one only."""
    label, unsure = np.zeros(found.shape, np.uint8), np.zeros(found.shape, bool)
    cross, found = ndimage.generate_binary_structure(3, 1), found.copy()
    if below is not None:
        found[below:] = 0
    for value in VALUES.values():
        organ = found == value
        if not organ.any():
            continue
        padded = np.pad(organ, _OPENING + 1, mode="edge")  # scans end in the middle of organs
        core = largest(ndimage.binary_opening(padded, cross, _OPENING))
        inner = (np.s_[_OPENING + 1 : -_OPENING - 1],) * 3
        sure = ndimage.binary_erosion(core, cross)[inner] & (hu > _ORGAN_HU)
        label[sure] = value
        unsure |= ndimage.binary_dilation(core[inner] | organ, cross, _NEAR) & ~sure
    label[unsure & (hu > _FAT_HU) & (label == 0)] = UNSURE
    return label


def _turned(path: Path) -> sitk.Image:
    return sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")


def _entry(name: str, info: dict, data: Path, out: Path, weight: float, by: str) -> dict:
    """Of all organs, for training, labelled by a file of this name in ``out``."""
    label = out / f"{name}_label.nii.gz"
    entry = entry_of(name, data, info, label, out, set(ORGANS), weight, by)
    return entry | {"values": VALUES, "split": "training"}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with index.json")
    parser.add_argument("out", type=Path, help="folder into which organ_labels.py wrote, for dataset.json")
    parser.add_argument("--drafts", metavar="MODEL", help="name or file of a model whose drafts are labels, too")
    arguments = parser.parse_args()
    data, out = arguments.data.resolve(), arguments.out.resolve()
    index = json.loads((data / "index.json").read_text())
    entries = describe_drawn(index, data, out) + describe_nothing(index, data, out)
    if arguments.drafts:
        entries += describe_drafts(index, data, out, arguments.drafts)
    for region, count in PHANTOMS.items():
        entries += write_phantom_cases(out, count, PHANTOM_WEIGHT, region=region, organs=ORGANS)
    (out / "dataset.json").write_text(json.dumps({"cases": entries}, indent=1))
    print(f"{len(entries)} cases described in {out / 'dataset.json'}")


if __name__ == "__main__":
    main()
