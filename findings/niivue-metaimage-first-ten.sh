#!/usr/bin/env bash
# NiiVue 0.69.0 (npm @niivue/niivue), MetaImage with its voxels in the same file, not compressed: behind the header it skips all
# bytes that are 10, since a line ends with one; the first voxels of the scan, too, if they are 10. A mask or an 8-bit scan whose
# corner is 10 is then shifted by a voxel, without a word; a 16-bit one is refused, or, if both bytes are 10,
# shifted. SimpleITK 2.5.7 reads the file right. One would guess that one end of line is skipped. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 numpy==2.4.6
npm install --silent --no-audit --no-fund --prefix "$folder" @niivue/niivue@0.69.0
cat > "$folder/make.py" <<'PY'
import sys

import numpy as np
import SimpleITK as sitk

for first in (9, 10):
    path = f"{sys.argv[1]}/first{first}.mha"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(first, first + 60, dtype=np.uint8).reshape(3, 4, 5)), path)
    print(f"SimpleITK: {sitk.GetArrayFromImage(sitk.ReadImage(path)).ravel()[:6].tolist()} ... of 60")
PY
cat > "$folder/show.mjs" <<'JS'
import fs from 'fs'
import { NVImage } from '@niivue/niivue'

const seen = []
for (const first of [9, 10]) {
  const name = `first${first}.mha`
  const image = await NVImage.loadFromFile({ file: new File([fs.readFileSync(name)], name), name })
  const voxels = Array.from(image.img)
  console.log(`NiiVue:    [${voxels.slice(0, 6).join(', ')}] ... of ${voxels.length}`)
  seen.push(voxels[0], voxels.length)
}
process.exit(seen.join() === '9,60,11,59' ? 0 : 1)
JS
cd "$folder"
venv/bin/python make.py "$folder"
node show.mjs
