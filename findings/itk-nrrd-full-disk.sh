#!/usr/bin/env bash
# NRRD, SimpleITK 2.5.7: when the last bytes of a compressed NRRD find no room on the disk, writing it raises nothing, and the
# file lacks its end (up to 4 KiB, which the writer holds back until it closes the file, and does not look whether that went
# well). pynrrd 1.1.3 cannot read it where more than the checksum is lost. A disk that lacks more is told. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q SimpleITK==2.5.7 numpy==2.4.6 pynrrd==1.1.3
cat > "$folder/show.py" <<'PY'
import os
import resource
import sys

import nrrd
import numpy as np
import SimpleITK as sitk

path = sys.argv[1]
image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 3, (30, 40, 50)).astype(np.uint8))
sitk.WriteImage(image, path, useCompression=True)
whole = os.path.getsize(path)
silent = []
for lacking in (1, 100, 20_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole - lacking, resource.RLIM_INFINITY))  # as a disk with so much room
    try:
        sitk.WriteImage(image, path, useCompression=True)
        told = "no error"
    except RuntimeError:
        told = "an error"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        nrrd.read(path)
        read = "read"
    except Exception as error:  # whatever it raises
        read = f"not read ({type(error).__name__})"
    print(f"{lacking} bytes too few: {told}, {os.path.getsize(path)} of {whole} bytes, by pynrrd {read}")
    silent.append(told == "no error")
sys.exit(int(silent != [True, True, False]))
PY
"$folder/venv/bin/python" "$folder/show.py" "$folder/mask.nrrd"
