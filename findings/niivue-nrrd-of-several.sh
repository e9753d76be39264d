#!/usr/bin/env bash
# NiiVue 0.69.0 (npm @niivue/niivue): of an NRRD with a fourth axis (diffusion, layers of a .seg.nrrd) the place is lost. It
# takes "space directions" only if they are nine numbers; the axis that lies nowhere in space, which the format calls "none" and
# ITK and 3D Slicer write first, makes them ten words. Spacing becomes 1 mm, the origin 0, and x is the axis of the layers,
# without a word, so an overlay lies elsewhere, is of another size and shows layers side by side. Without the fourth axis all is
# right. SimpleITK 2.5.7 knows both. Ends with 1 if that changes.
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

for name, channels in (("one", 1), ("several", 2)):
    array = np.zeros((3, 4, 5, channels), np.uint8)
    image = sitk.GetImageFromArray(array if channels > 1 else array[..., 0], isVector=channels > 1)
    image.SetSpacing((2, 3, 4))
    image.SetOrigin((-10, -20, 30))
    path = f"{sys.argv[1]}/{name}.nrrd"
    sitk.WriteImage(image, path)
    back = sitk.ReadImage(path)
    print(f"SimpleITK, {name}: spacing {back.GetSpacing()}, origin {back.GetOrigin()} (LPS)")
    print("    " + next(line for line in open(path, "rb").read().decode("latin-1").split("\n") if "directions" in line))
PY
cat > "$folder/show.mjs" <<'JS'
import fs from 'fs'
import { NVImage } from '@niivue/niivue'

const seen = []
for (const name of ['one.nrrd', 'several.nrrd']) {
  const image = await NVImage.loadFromFile({ file: new File([fs.readFileSync(name)], name), name })
  const { dims, pixDims, affine } = image.hdr
  const origin = affine.slice(0, 3).map((row) => row[3])
  console.log(`NiiVue, ${name}: size ${dims.slice(1, 4)}, spacing ${pixDims.slice(1, 4)}, origin ${origin} (RAS)`)
  seen.push(dims.slice(1, 4), pixDims.slice(1, 4), origin)
}
process.exit(seen.join() === '5,4,3,2,3,4,10,20,30,2,5,4,1,1,1,0,0,0' ? 0 : 1)
JS
cd "$folder"
venv/bin/python make.py "$folder"
node show.mjs
