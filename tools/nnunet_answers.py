"""Ask nnU-Net itself what it answers on the small models of ``Testing/engine/nnunet_folders.py``, for the tests.

nnU-Net sums logits in float16, which on random weights with their many near ties changes up to 0.5 % of the voxels. So
that the tests can be strict, it is made to sum in float32 here.

In an environment with nnunetv2 (2.8.1 was used), torch and this repository on PYTHONPATH:

    python tools/nnunet_answers.py Testing/engine/nnunet_answers.npz
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "Testing" / "engine"))


def main(target: str) -> None:
    """Write the label map of each case."""
    from nnunet_folders import CASES

    answers = {name: answer(case) for name, case in CASES.items()}
    for name, labels in answers.items():
        print(name, labels.shape, np.bincount(labels.ravel()))
    np.savez_compressed(target, allow_pickle=False, **answers)


def answer(case: dict) -> np.ndarray:
    """nnU-Net's labels of the case's scan, file to file, in the order of the file."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            os.environ[name] = temporary  # nnU-Net wants them, if only to be imported
        import SimpleITK as sitk
        import torch
        from nnunet_folders import write_results, write_scan
        from nnunetv2.inference import predict_from_raw_data

        model = write_results(folder, **case)
        scans = write_scan(folder, **case)
        settings = {"device": torch.device("cpu"), "perform_everything_on_device": False}
        predictor = predict_from_raw_data.nnUNetPredictor(use_mirroring=bool(case.get("mirror")), **settings)
        torch.half = torch.float32  # what the sums and weights are made of
        weights = predict_from_raw_data.compute_gaussian.__wrapped__
        predict_from_raw_data.compute_gaussian = lru_cache(partial(weights, dtype=torch.float32))
        predictor.initialize_from_trained_model_folder(str(model), tuple(range(case.get("folds", 1))))
        predictor.predict_from_files_sequential([[str(path) for path in scans]], [str(folder / "out")], False, True)
        return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "out.nii.gz"))).astype(np.uint8)


if __name__ == "__main__":
    main(sys.argv[1])
