"""RTSTRUCT of a real liver, read back by programs of others: Dice, volume, and whether its holes stay holes.

    python -m venv VENV
    VENV/bin/pip install rt-utils==1.2.7 dicompyler-core==0.5.6 "pydicom<3" matplotlib
    python Testing/benchmarks/rtstruct_readers.py --readers VENV/bin/python

The liver of a case of ``shared/data`` is resampled to 0.8 x 0.8 x 2.5 mm. Readers: plastimatch (apt-get install
plastimatch), rt-utils, which rounds corners to pixels and paints borders, too, and dicompyler-core, which asks each
voxel's centre. Our own, for comparison. Those that are not installed are passed over, with a reason.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from ct_series import write_ct_series

from Med3DCore.geometry import Geometry
from Med3DCore.io import find_scan, read_label_map, write_label_maps
from Med3DCore.io.dicom import Series
from Med3DCore.io.dicom_results import Origin
from Med3DCore.labels import find_labels
from Med3DCore.volume import LabelMap

SPACING, SLICE = (0.8, 0.8, 2.5), (512, 512)  # rt-utils reads square slices alone
DATA = Path(__file__).parents[3] / "shared" / "data"
RT_UTILS = """
import sys, numpy, rt_utils
made = rt_utils.RTStructBuilder.create_from(dicom_series_path=sys.argv[1], rt_struct_path=sys.argv[2])
numpy.save(sys.argv[3], numpy.moveaxis(made.get_roi_mask_by_name("Liver"), 2, 0))
"""
DICOMPYLER = """
import sys, numpy
from dicompylercore import dicomparser, dvhcalc
planes = dicomparser.DicomParser(sys.argv[2]).GetStructureCoordinates(1)
origin, spacing, size = (numpy.array(text.split(","), float) for text in sys.argv[4:])
lut = [origin[axis] + spacing[axis] * numpy.arange(size[axis]) for axis in range(3)]
points = numpy.stack([grid.ravel() for grid in numpy.meshgrid(lut[0], lut[1])], axis=1)
mask = numpy.zeros(size[::-1].astype(int), bool)
for z, contours in planes.items():
    for contour in contours:
        corners = numpy.array(contour["data"])[:, :2]
        inside = dvhcalc.get_contour_mask({"lut": lut, "x_lut_index": 0}, 1, points, corners)
        mask[int(round((float(z) - origin[2]) / spacing[2]))] ^= inside
numpy.save(sys.argv[3], mask)
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real CTs")
    parser.add_argument("--case", default="lits_03", help="a case with a liver (default %(default)s)")
    parser.add_argument("--readers", help="Python that has rt-utils and dicompyler-core")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), arguments)


def compare(folder: Path, arguments: argparse.Namespace) -> None:
    """Write, have it read, and print a line a reader."""
    truth, scan = make(folder, arguments.data / f"{arguments.case}_ct.nii.gz")
    holes = np.stack([ndimage.binary_fill_holes(plane) for plane in truth]) & ~truth
    ml = np.prod(SPACING) / 1000
    print(
        f"{arguments.case}, {truth.shape[::-1]} voxels, {truth.sum() * ml:.0f} mL, {holes.sum() * ml:.2f} mL of holes"
    )
    result, ct = folder / "r.rtstruct.dcm", folder / "ct"
    found = {"Med3D": read_label_map(result, grid=scan.geometry).mask("liver")}
    if program := shutil.which("plastimatch"):
        found["plastimatch"] = by_plastimatch(program, result, ct, folder)
    else:
        print("plastimatch is not installed (apt-get install plastimatch)")
    grid = [",".join(map(str, values)) for values in (scan.geometry.origin, SPACING, scan.geometry.size)]
    for name, code in (("rt-utils", RT_UTILS), ("dicompyler-core", DICOMPYLER)):
        if not arguments.readers:
            print(f"{name} is not asked; name a Python that has it with --readers")
            continue
        command = [arguments.readers, "-c", code, str(ct), str(result), str(folder / "mask.npy"), *grid]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found[name] = np.load(folder / "mask.npy")
    for name, mask in found.items():
        dice = 2 * np.count_nonzero(mask & truth) / (mask.sum() + truth.sum())
        volume, kept = mask.sum() / truth.sum() - 1, 1 - np.count_nonzero(mask & holes) / max(1, holes.sum())
        print(f"{name:16} Dice {dice:.4f}, volume {100 * volume:+.2f} %, {100 * kept:.1f} % of the holes are holes")


def make(folder: Path, path: Path) -> tuple[np.ndarray, Series]:
    """The liver on a CT series of the wanted spacing, and its RTSTRUCT."""
    image = sitk.ReadImage(str(path))
    liver = sitk.ReadImage(str(path).replace("_ct.", "_seg.")) == 1
    size = [*SLICE, round(image.GetSize()[2] * image.GetSpacing()[2] / SPACING[2])]
    place = (size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), SPACING, image.GetDirection())
    hu = sitk.GetArrayFromImage(sitk.Resample(sitk.Cast(image, sitk.sitkInt16), *place, -1000))
    truth = sitk.GetArrayFromImage(sitk.Resample(sitk.Cast(liver, sitk.sitkFloat32), *place)) >= 0.5
    write_ct_series(folder / "ct", hu, Geometry(tuple(size), SPACING, image.GetOrigin(), image.GetDirection()))
    scan = find_scan(folder / "ct")
    assert isinstance(scan, Series)
    labels = LabelMap(truth.astype(np.uint8), scan.geometry, "liver", find_labels(["liver"]))
    write_label_maps(labels, [folder / "r.rtstruct.dcm"], Origin(scan, "somebody-1.0.0", ""))
    return truth, scan


def by_plastimatch(program: str, result: Path, ct: Path, folder: Path) -> np.ndarray:
    """What plastimatch marks on the grid of the series."""
    command = [program, "convert", "--input", result, "--referenced-ct", ct, "--output-prefix", folder / "out"]
    subprocess.run([*map(str, command), "--prefix-format", "nii.gz"], check=True, capture_output=True)
    image = sitk.ReadImage(str(folder / "out" / "Liver.nii.gz"))
    scan = find_scan(ct).geometry
    place = (scan.size, sitk.Transform(), sitk.sitkNearestNeighbor, scan.origin, scan.spacing, scan.direction)
    return sitk.GetArrayFromImage(sitk.Resample(image, *place)) > 0


if __name__ == "__main__":
    main()
