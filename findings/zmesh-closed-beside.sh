#!/usr/bin/env bash
# zmesh 1.15.0, which makes surfaces of all labels of a volume at once. Those that touch the edge of the volume stay open there, unless
# close=True asks for closed ones, as who measures or prints an organ must. With it all surfaces, of organs far from any edge too, lie
# one voxel further along each axis, here 0.8, 0.8 and 5 mm: the frame of empty voxels that closes them is not taken off their
# vertices. In shape and size they are the same, and nothing is said. One would guess that what is closed stays where it was. Ends
# with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q zmesh==1.15.0 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
import zmesh

spacing = np.array([0.8, 0.8, 5.0])
labels = np.zeros((60, 60, 20), np.uint32)
labels[20:41, 20:41, 5:12] = 1
labels[45:60, 45:60, 14:20] = 2

found = {}
for close in (False, True):
    mesher = zmesh.Mesher(tuple(spacing))
    mesher.mesh(labels, close=close)
    for label in (1, 2):
        vertices = mesher.get(label).vertices
        found[label, close] = [vertices.min(axis=0) / spacing, vertices.max(axis=0) / spacing]
        first, last = (np.round(corner, 2).tolist() for corner in found[label, close])
        print(f"close={close}: label {label} from {first} to {last} voxels")
middle = [np.mean(found[1, close], axis=0).round(3) for close in (False, True)]
print(f"label 1 has its middle at {np.argwhere(labels == 1).mean(axis=0)}, its open surface at {middle[0]}, its closed one at {middle[1]}")
sys.exit(not (np.allclose(middle[0], [30, 30, 8]) and np.allclose(middle[1], [31, 31, 9])))
PY
"$folder/venv/bin/python" "$folder/show.py"
