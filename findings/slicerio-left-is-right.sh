#!/usr/bin/env bash
# slicerio 1.4.0, the Slicer project's reader of .seg.nrrd, picks segments by name or by terminology. The side of an anatomic region
# (right, left, as Slicer's own list of regions gives it) it compares by the first two letters of the coding scheme, which are always
# the same: asked for the mass in the left adrenal gland, extract_segments() gives those of both glands as one segment, called by the
# right one's name; asked for both with labels 1 and 2, all is 2. By name it is right, and so it is where the side is told by the type
# of a structure (right kidney). Nothing is said. One would guess that a code is compared with a code. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q slicerio==1.4.0 pynrrd==1.1.3 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
import slicerio

masses = {
    side: {
        "contextName": "Segmentation category and type - 3D Slicer General Anatomy list",
        "category": ["SCT", "49755003", "Morphologically Altered Structure"],
        "type": ["SCT", "4147007", "Mass"],
        "anatomicContextName": "Anatomic codes - DICOM master list",
        "anatomicRegion": ["SCT", "23451007", "Adrenal gland"],
        "anatomicRegionModifier": ["SCT", code, side],
    }
    for side, code in (("Right", "24028007"), ("Left", "7771000"))
}
made = slicerio.create_segmentation((40, 20, 10), np.eye(4))
for side, columns in (("Right", slice(4, 8)), ("Left", slice(28, 36))):
    mask = np.zeros((40, 20, 10), bool)
    mask[columns, 6:12, 3:7] = True
    slicerio.add_segment(made, mask, {"name": f"mass, {side.lower()}", "terminology": masses[side]})
    print(f"made: {mask.sum()} voxels of 'mass, {side.lower()}'")
slicerio.write_segmentation(sys.argv[1], made)
read = slicerio.read_segmentation(sys.argv[1])

asked = {
    "left by its name": [("mass, left", 1)],
    "left by its terms": [(masses["Left"], 1)],
    "right by its terms": [(masses["Right"], 1)],
    "right as 1, left as 2, by their terms": [(masses["Right"], 1), (masses["Left"], 2)],
}
got = []
for what, pairs in asked.items():
    extracted = slicerio.extract_segments(read, pairs)
    got.append(np.bincount(extracted["voxels"].ravel(), minlength=3)[1:].tolist())
    names = [segment["name"] for segment in extracted["segments"]]
    print(f"{what}: {got[-1][0]} voxels of label 1, {got[-1][1]} of label 2, called {names}")
sys.exit(got != [[192, 0], [288, 0], [288, 0], [0, 288]])
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/masses.seg.nrrd"
