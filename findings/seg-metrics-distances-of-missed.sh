#!/usr/bin/env bash
# seg-metrics 1.2.8 (imported as seg_metrics): for an organ that the prediction misses, or that is predicted where there is
# none, all distances (hd, hd95, msd, mdsd, stdsd) are 0.0, the same as for a perfect prediction. A warning on the log speaks
# of precision and recall, not of the distances. In a table of means each missed organ makes the distances better. Other
# packages give inf, nan or an error. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q seg-metrics==1.2.8 numpy==1.26.4
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
from seg_metrics.seg_metrics import write_metrics

organ = np.zeros((16, 24, 24), np.uint8)
organ[4:12, 6:18, 6:18] = 1
shifted, nothing = np.roll(organ, 2, axis=2), np.zeros_like(organ)

seen = []
for name, truth, predicted in (("shifted by 2 voxels", organ, shifted), ("missed", organ, nothing), ("invented", nothing, organ)):
    (row,) = write_metrics(labels=[1], gdth_img=truth, pred_img=predicted, csv_file=None, spacing=[1, 1, 1])
    values = [float(row[key][0]) for key in ("dice", "hd", "hd95", "msd")]
    print(f"{name}: dice {values[0]:.3f}, hd {values[1]}, hd95 {values[2]}, msd {values[3]:.3f}")
    seen.append(values)
sys.exit(not (seen[0][1] >= 2 and seen[1] == [0, 0, 0, 0] and seen[2] == [0, 0, 0, 0]))
PY
"$folder/venv/bin/python" "$folder/show.py"
