"""The files of a trained model as nnU-Net v2 writes them: plans.json, dataset.json, checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

NETWORKS = "dynamic_network_architectures.architectures.unet."
INTENSITIES = {"mean": 60.0, "std": 90.0, "percentile_00_5": -150.0, "percentile_99_5": 220.0}


def write_documents(
    folder: Path, configuration: str, settings: dict, data_set: dict, channels: int = 1, **more: object
) -> Path:
    """plans.json and dataset.json, with what the given settings leave out; gives the model's folder."""
    usual = {
        "data_identifier": "x",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "batch_dice": False,
        "median_image_size_in_voxels": settings["patch_size"],
        **_resampling(),
    }
    plans = {
        "dataset_name": "Dataset099_Tiny",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": settings["spacing"],
        "original_median_shape_after_transp": [20, 20, 20],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {configuration: {**usual, **settings}},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(number): INTENSITIES for number in range(channels)},
        **more,
    }
    names = {str(number): f"image{number}" for number in range(channels)}
    data_set = {"channel_names": names, "numTraining": 1, "file_ending": ".nii.gz", **data_set}
    model = folder / plans["dataset_name"] / f"nnUNetTrainer__nnUNetPlans__{configuration}"
    model.mkdir(parents=True)
    (model / "plans.json").write_text(json.dumps(plans))
    (model / "dataset.json").write_text(json.dumps(data_set))
    return model


def write_checkpoint(path: Path, weights: dict, configuration: str, mirror: tuple[int, ...], **more: object) -> None:
    """With the numpy numbers and settings that nnU-Net's trainer pickles beside the tensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = {
        "network_weights": weights,
        "optimizer_state": {"state": {0: {"momentum_buffer": torch.ones(2, 3)}}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float32(0.5), np.float64(0.25)], "dice_per_class": [[np.float32("nan")]]},
        "_best_ema": np.float32(0.5),
        "current_epoch": 4,
        "init_args": {"configuration": configuration, "fold": 0, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": mirror or None,
        **more,
    }
    torch.save(checkpoint, path)


def architecture(network: str, features: list[int], kernels: list, strides: list, **counts: list[int]) -> dict:
    """As plans since nnU-Net 2.3 describe a network."""
    dims = len(kernels[0])
    return {
        "network_class_name": NETWORKS + network,
        "arch_kwargs": {
            "n_stages": len(features),
            "features_per_stage": features,
            "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
            "kernel_sizes": kernels,
            "strides": strides,
            **counts,
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _resampling() -> dict:
    found = {}
    for what, order in (("data", 3), ("seg", 1), ("probabilities", 1)):
        found[f"resampling_fn_{what}"] = "resample_data_or_seg_to_shape"
        settings = {"is_seg": what == "seg", "order": order, "order_z": 0, "force_separate_z": None}
        found[f"resampling_fn_{what}_kwargs"] = settings
    return found
