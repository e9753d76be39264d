#!/usr/bin/env bash
# vtk.js 37.4.3 (npm @kitware/vtk.js) and VTK 9.7.2. Both write the direction of an image into a .vti as nine numbers, but VTK row by
# row and vtk.js axis by axis, and each reads the other's in its own order: a scan that is turned by 30 degrees to one side is turned
# to the other, both ways, and each reads back its own file right. And vtk.js' vtkImageMarchingCubes leaves the direction out
# altogether, which indexToWorld() of the same image heeds: the surface of an organ lies beside it, in a mirrored scan on the other
# side of the body. Nothing is said. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q vtk==9.7.2 numpy==2.4.6
npm install --silent --no-audit --no-fund --prefix "$folder" @kitware/vtk.js@37.4.3
cat > "$folder/both.py" <<'PY'
import math
import sys

from vtkmodules.vtkCommonCore import VTK_UNSIGNED_CHAR
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOXML import vtkXMLImageDataReader, vtkXMLImageDataWriter


def place(image):
    point = [0.0] * 3
    image.TransformIndexToPhysicalPoint([12, 6, 5], point)
    return ",".join(f"{value:.1f}" for value in point)


if sys.argv[1] == "write":
    sine, cosine = math.sin(math.pi / 6), math.cos(math.pi / 6)
    image = vtkImageData()
    image.SetDimensions(20, 16, 12)
    image.SetSpacing(2, 3, 4)
    image.SetOrigin(10, -20, 30)
    image.SetDirectionMatrix(cosine, -sine, 0, sine, cosine, 0, 0, 0, 1)
    image.AllocateScalars(VTK_UNSIGNED_CHAR, 1)
    image.GetPointData().GetScalars().Fill(0)
    writer = vtkXMLImageDataWriter()
    writer.SetFileName(sys.argv[2])
    writer.SetInputData(image)
    writer.SetDataModeToAscii()
    writer.Write()
else:
    reader = vtkXMLImageDataReader()
    reader.SetFileName(sys.argv[2])
    reader.Update()
    image = reader.GetOutput()
print(place(image))
PY
cat > "$folder/show.mjs" <<'JS'
import fs from 'fs'
import { execFileSync } from 'child_process'
import vtkDataArray from '@kitware/vtk.js/Common/Core/DataArray.js'
import vtkImageData from '@kitware/vtk.js/Common/DataModel/ImageData.js'
import vtkImageMarchingCubes from '@kitware/vtk.js/Filters/General/ImageMarchingCubes.js'
import vtkXMLImageDataReader from '@kitware/vtk.js/IO/XML/XMLImageDataReader.js'
import vtkXMLImageDataWriter from '@kitware/vtk.js/IO/XML/XMLImageDataWriter.js'

const told = (point) => [...point].map((value) => value.toFixed(1)).join()
const inVtk = (what, path) => execFileSync('venv/bin/python', ['both.py', what, path], { encoding: 'utf8' }).trim()
const read = (path) => {
  const bytes = fs.readFileSync(path)
  const reader = vtkXMLImageDataReader.newInstance()
  reader.parseAsArrayBuffer(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  return told(reader.getOutputData(0).indexToWorld([12, 6, 5]))
}

// A scan with an organ whose middle is the voxel 12, 6, 5; each axis is three numbers of the direction, as vtk.js has it
const makeScan = (direction) => {
  const scan = vtkImageData.newInstance({ spacing: [2, 3, 4], origin: [10, -20, 30], extent: [0, 19, 0, 15, 0, 11] })
  scan.setDirection(direction)
  const values = new Uint8Array(20 * 16 * 12)
  for (let z = 3; z <= 7; z++) {
    for (let y = 4; y <= 8; y++) for (let x = 10; x <= 14; x++) values[x + 20 * (y + 16 * z)] = 100
  }
  scan.getPointData().setScalars(vtkDataArray.newInstance({ values, numberOfComponents: 1, name: 'scan' }))
  return scan
}
const middleOfSurface = (scan) => {
  const filter = vtkImageMarchingCubes.newInstance({ contourValue: 50, mergePoints: true })
  filter.setInputData(scan)
  filter.update()
  const points = filter.getOutputData().getPoints().getData()
  const middle = [0, 0, 0]
  points.forEach((value, index) => { middle[index % 3] += value / (points.length / 3) })
  return told(middle)
}

const log = console.log
console.log = () => {} // the filter tells how long it took
const [c, s] = [Math.cos(Math.PI / 6), Math.sin(Math.PI / 6)]
const turned = makeScan([c, s, 0, -s, c, 0, 0, 0, 1])
const mirrored = makeScan([-1, 0, 0, 0, -1, 0, 0, 0, 1])
const plain = makeScan([1, 0, 0, 0, 1, 0, 0, 0, 1])
const written = inVtk('write', 'vtk.vti')
fs.writeFileSync('vtkjs.vti', vtkXMLImageDataWriter.newInstance().write(turned))
const place = told(turned.indexToWorld([12, 6, 5]))
const seen = [[written, inVtk('read', 'vtk.vti'), read('vtk.vti')], [place, inVtk('read', 'vtkjs.vti'), read('vtkjs.vti')]]
const surfaces = [plain, turned, mirrored].map((scan) => [told(scan.indexToWorld([12, 6, 5])), middleOfSurface(scan)])
console.log = log
console.log(`VTK's file: the organ is at ${seen[0][0]} in what was written, ${seen[0][1]} by VTK, ${seen[0][2]} by vtk.js`)
console.log(`vtk.js' file: the organ is at ${seen[1][0]} in what was written, ${seen[1][1]} by VTK, ${seen[1][2]} by vtk.js`)
for (const [organ, surface] of surfaces) console.log(`vtk.js: the organ is at ${organ}, its surface around ${surface}`)
const [there, elsewhere] = [seen[0][0], seen[0][2]]
const crossed = there !== elsewhere && seen.join() === [there, there, elsewhere, there, elsewhere, there].join()
const unturned = surfaces.every(([, surface]) => surface === surfaces[0][0])
process.exit(crossed && unturned && surfaces[1][0] === there ? 0 : 1)
JS
cd "$folder"
node show.mjs
