"""Ask MONAI itself what it answers on the small models of ``Testing/engine/monai_models.py``, for the tests.

The steps are those of Auto3DSeg's segmenter, with MONAI's own transforms, network and sliding window. In an environment
with monai (1.6.1 was used), nibabel, torch and this repository on PYTHONPATH:

    python tools/monai_answers.py Testing/engine/monai_answers.npz
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "Testing" / "engine"))


def main(target: str) -> None:
    """Write the label map of each case."""
    from monai_models import CASES, write_model, write_scan

    answers = {}
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            scans = write_scan(Path(folder), **case)
            answers[name] = answer(write_model(Path(folder) / "model", **case) / "model.pt", scans)
        print(name, answers[name].shape, np.bincount(answers[name].ravel()))
    np.savez_compressed(target, allow_pickle=False, **answers)


def answer(model: Path, scans: list[Path], nearest: bool = False) -> np.ndarray:
    """MONAI's labels of a scan, in the order of the file ``[z, y, x]``; of regions, the last one is on top.

    Args:
        model: model.pt, which is trusted here.
        scans: Images, one a channel.
        nearest: Decide on the network's grid and take the nearest label, as SlicerMONAIAuto3DSeg does.
    """
    import torch
    from monai.bundle import ConfigParser
    from monai.data import decollate_batch, list_data_collate
    from monai.inferers import SlidingWindowInfererAdapt
    from monai.transforms import Invertd

    checkpoint = torch.load(model, map_location="cpu", weights_only=False)
    config = checkpoint["config"]
    settings = {k: config[v[1:]] if str(v).startswith("@") else v for k, v in config["network"].items()}
    network = ConfigParser(settings).get_parsed_content().eval()
    network.load_state_dict(checkpoint["state_dict"], strict=True)
    keys = ["image", *config["extra_modalities"]]
    transform = _transform(config, keys)
    batch = list_data_collate([transform(dict(zip(keys, map(str, scans), strict=True)))])
    window = SlidingWindowInfererAdapt(config["roi_size"], sw_batch_size=1, overlap=0.625, mode="gaussian")
    with torch.inference_mode():
        logits = window(inputs=batch["image"].as_subclass(torch.Tensor), network=network)
    sigmoid = config.get("sigmoid", False)
    found = logits.sigmoid() if sigmoid else logits.softmax(dim=1)
    if nearest and not sigmoid:
        found = found.argmax(dim=1, keepdim=True).float()
    batch["pred"] = type(batch["image"])(found, meta=batch["image"].meta)
    batch["pred"].applied_operations = batch["image"].applied_operations
    back = Invertd(keys="pred", orig_keys="image", transform=transform, nearest_interp=nearest)
    inverted = np.asarray(back(decollate_batch(batch)[0])["pred"])
    if sigmoid:
        labels = np.zeros(inverted.shape[1:], np.uint8)
        for value, region in enumerate(inverted, start=1):
            labels[region >= 0.5] = value
    else:
        labels = (inverted[0] if nearest else inverted.argmax(axis=0)).astype(np.uint8)
    return labels.T


def _transform(config: dict, keys: list[str]):
    """What Auto3DSeg's segmenter does with images before the network."""
    import torch
    from monai import transforms as t

    several = len(keys) > 1
    steps = [t.LoadImaged(keys=keys, ensure_channel_first=True, dtype=None, image_only=True)]
    steps.append(t.EnsureTyped(keys=keys, data_type="tensor", dtype=torch.float))
    if config.get("orientation_ras", False):
        steps.append(t.Orientationd(keys=keys, axcodes="RAS"))
    if config.get("crop_foreground", True) and not several:
        steps.append(t.CropForegroundd(keys=keys, source_key=keys[0], margin=10, allow_smaller=True))
    if config["resample"]:
        spacing = np.array(config["resample_resolution"])
        limits = {"min_pixdim": spacing * 0.75, "max_pixdim": spacing * 1.25}
        steps.append(t.Spacingd(keys=keys, pixdim=list(spacing), mode="bilinear", dtype=torch.float, **limits))
    low, high = config["intensity_bounds"]
    for key, mode in zip(keys, [config["normalize_mode"], *config["extra_modalities"].values()], strict=True):
        if mode in ("range", "ct"):
            steps.append(t.ScaleIntensityRanged(keys=key, a_min=low, a_max=high, b_min=-1, b_max=1, clip=False))
            steps.append(t.Lambdad(keys=key, func=torch.sigmoid))
        elif mode != "none":
            steps.append(t.NormalizeIntensityd(keys=key, nonzero=True, channel_wise=True))
            if mode == "meanstdtanh":
                steps.append(t.Lambdad(keys=key, func=lambda x: 3 * torch.tanh(x / 3)))
    return t.Compose([*steps, t.ConcatItemsd(keys=keys, name="image")])


if __name__ == "__main__":
    main(sys.argv[1])
