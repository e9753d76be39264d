#!/usr/bin/env bash
# ome-zarr 0.18.0 (the library of the format's authors) with scikit-image 0.26.0: write_image() averages for the smaller levels of a
# scan, write_labels() takes the nearest voxel, and both write the same scale and translation, which fit the averages. A voxel in the
# middle of an even number has two nearest ones, and it is always the lower, level after level. So an organ and its own label part:
# here by 3 mm at the fourth of five levels and by 5.7 at the fifth, along both axes, and the label that a viewer shows in an overview,
# or that an algorithm meets on a coarse level, lies beside the organ. Nothing is said. One would guess that labels and scan, written
# by their two functions as they come, stay together. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q ome-zarr==0.18.0 zarr==3.1.6 scikit-image==0.26.0 numpy==2.3.5
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
import zarr
from ome_zarr.writer import write_image, write_labels

grid = np.indices((16, 128, 128))
square = sum(((axis - place) * step) ** 2 for axis, place, step in zip(grid, (8, 64, 64), (5, 0.8, 0.8), strict=True))
scan = (1000 * np.exp(-square / (2 * 16.0**2))).astype(np.int16)
spacing = {"z": 5.0, "y": 0.8, "x": 0.8}
group = zarr.open_group(sys.argv[1], mode="w")
write_image(scan, group, axes="zyx", scale=spacing)
write_labels((scan > 500).astype(np.uint8), group, name="organ", axes="zyx", scale=spacing)


def levels(where, least):
    """Of each level what it tells of its place, and the centre of what is larger than `least` [z, y, x] in mm."""
    for level in where.attrs["ome"]["multiscales"][0]["datasets"]:
        scale, translation = (step[step["type"]] for step in level["coordinateTransformations"])
        inside = np.argwhere(where[level["path"]][:] > least).mean(axis=0)
        yield (scale, translation), inside * scale + translation


apart = []
same = True
for (told, organ), (of_label, label) in zip(levels(group, 500), levels(group["labels/organ"], 0), strict=True):
    same = same and told == of_label
    apart.append(np.abs(organ - label))
    print(f"pixels of {told[0][2]:4.1f} mm, first at {told[1][2]:.1f} mm: organ and label {apart[-1].round(1)} mm apart")
sys.exit(not (same and apart[0].max() == 0 and (apart[3][1:] > 2).all() and (apart[4][1:] > 4).all()))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/scan.zarr"
