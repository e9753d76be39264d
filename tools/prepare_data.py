"""Describe the CTs of the shared data folder as a Med3D data set.

    python tools/prepare_data.py ../shared/data runs/data

writes ``runs/data/dataset.json`` for ``med3d train``, and label files for the cases whose rule-based lung mask a person
looked at and accepted, and 32 phantoms. The CTs themselves stay where they are.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

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

# As many as to be a third of what a network sees, beside 6 patients with a labelled liver and 16 with labelled lungs.
PHANTOMS = 32
PHANTOM_WEIGHT = 0.12

# Head, neck and lung apices; a thin slab of the upper chest.
WITHOUT_LIVER = ("acrinflt_001a", "lungfcp_0001")

# Soft tissue that may be liver: the rule of the folder's own lungs-only labels.
MAY_BE_LIVER_HU = (-30, 250)


def describe(data: Path, out: Path) -> list[dict]:
    """One entry per usable case; writes label files for accepted drafts into ``out``."""
    entries = []
    for name, info in json.loads((data / "index.json").read_text()).items():
        annotated = list(info["annotated"])
        label = info.get("labels")
        label = None if label is None else data / label
        by = info["annotation"]
        if name in ACCEPTED_DRAFTS:
            label = out / f"{name}_label.nii.gz"
            write_draft_label(data / info["ct"], data / info["draft_lungs"], label)
            annotated, by = ["lungs"], "rule-based draft, looked at"
        if label is None:
            continue
        entries.append(
            {
                "name": name,
                "image": os.path.relpath(data / info["ct"], out),
                "label": os.path.relpath(label, out),
                "values": VALUES,
                "annotated": annotated,
                "absent": ["liver"] if name in WITHOUT_LIVER else [],
                "patient": info["patient"],
                "split": info["split"],
                "source": {"data": info["dataset"], "licence": info["licence"], "labels": by},
            }
        )
    return entries


def write_draft_label(ct: Path, draft: Path, path: Path) -> None:
    """A lungs-only label from a draft: lungs 2, what may be liver 255."""
    image = sitk.ReadImage(str(ct))
    hu = sitk.GetArrayFromImage(image)
    lungs = sitk.GetArrayFromImage(sitk.ReadImage(str(draft))) > 0
    label = np.where((hu >= MAY_BE_LIVER_HU[0]) & (hu <= MAY_BE_LIVER_HU[1]), 255, 0).astype(np.uint8)
    label[lungs] = VALUES["lungs"]
    result = sitk.GetImageFromArray(label)
    result.CopyInformation(image)
    sitk.WriteImage(result, str(path))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with index.json")
    parser.add_argument("out", type=Path, help="folder for dataset.json and label files")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    entries = describe(arguments.data.resolve(), out)
    entries += write_phantom_cases(out, PHANTOMS, PHANTOM_WEIGHT)
    (out / "dataset.json").write_text(json.dumps({"cases": entries}, indent=1))
    print(f"{len(entries)} cases described in {out / 'dataset.json'}")


if __name__ == "__main__":
    main()
