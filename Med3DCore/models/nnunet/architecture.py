"""What nnU-Net's plans.json says of a network, as our description of it."""

from __future__ import annotations

from typing import Any

from Med3DCore.errors import ModelError

_CLASSES = {"PlainConvUNet": ("plain_conv", "convs"), "ResidualEncoderUNet": ("residual", "blocks")}
_NORMS = {"InstanceNorm": "instance", "BatchNorm": "batch"}
_ACTIVATIONS = {"LeakyReLU": "leaky_relu", "ReLU": "relu"}


def network_description(settings: dict[str, Any], channels: int, classes: int, flat: bool, name: str) -> dict:
    """A network for :func:`.build_network`.

    Args:
        settings: Of a configuration, with those that it inherits.
        channels: Of the input.
        classes: Channels of the output.
        flat: It is a 2D network, whose kernels get an axis of one slice.
        name: What to call the model in messages.

    Raises:
        ModelError: It is of a class that is not known here, or has parts that are not.
        KeyError, TypeError, ValueError: The settings are not those of nnU-Net v2.
    """
    kind, values = _architecture(settings, name)
    if kind not in _CLASSES:
        raise ModelError(
            f"{name} has a network of the class {kind}, which Med3D does not know; it knows {' and '.join(_CLASSES)}."
        )
    encoder, counted = _CLASSES[kind]
    stages = values["n_stages"]
    norm, activation = _last_word(values["norm_op"]), _last_word(values["nonlin"])
    slope = (values.get("nonlin_kwargs") or {}).get("negative_slope", 0.01)
    norm_settings = {"eps": 1e-5, "affine": True, **(values.get("norm_op_kwargs") or {})}
    unusual = {
        f"norm {norm}": norm.rstrip("123d") not in _NORMS or norm_settings != {"eps": 1e-5, "affine": True},
        f"activation {activation}": activation not in _ACTIVATIONS or slope != 0.01,
        "order of norm and activation": values.get("nonlin_first", False),
        "bottleneck blocks": _last_word(values.get("block") or "BasicBlockD") != "BasicBlockD",
    }
    if found := [what for what, is_so in unusual.items() if is_so]:
        raise ModelError(f"{name} has a network with an unusual {found[0]}, which Med3D does not know.")
    kernels = [_sizes(size, flat) for size in _per_stage(values["kernel_sizes"], stages)]
    common = {
        "bias": bool(values.get("conv_bias", False)),
        "norm": _NORMS[norm.rstrip("123d")],
        "activation": _ACTIVATIONS[activation],
    }
    counts = _per_stage(values["n_conv_per_stage" if encoder == "plain_conv" else "n_blocks_per_stage"], stages)
    stem = {"stem_channels": values["stem_channels"]} if values.get("stem_channels") else {}
    return {
        "encoder": {
            "name": encoder,
            "in_channels": channels,
            "channels": _per_stage(values["features_per_stage"], stages),
            "kernels": kernels,
            "strides": [_sizes(size, flat) for size in _per_stage(values["strides"], stages)],
            counted: counts,
            **stem,
            **common,
        },
        "decoder": {
            "name": "nnunet",
            "kernels": kernels[-2::-1],
            "convs": _per_stage(values["n_conv_per_stage_decoder"], stages - 1),
            **common,
        },
        "out_channels": classes,
    }


def _architecture(settings: dict[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    """Class of the network and its arguments, as plans since nnU-Net 2.3 name them."""
    if "architecture" in settings:
        given = settings["architecture"]
        return _last_word(given["network_class_name"]), given["arch_kwargs"]
    if "UNet_class_name" not in settings:
        raise ModelError(f"plans.json of {name} does not say which network it is; copy the file again.")
    convs = settings["n_conv_per_stage_encoder"]
    first, most = settings["UNet_base_num_features"], settings["unet_max_num_features"]
    values = {
        "n_stages": len(convs),
        "features_per_stage": [min(first * 2**stage, most) for stage in range(len(convs))],
        "kernel_sizes": settings["conv_kernel_sizes"],
        "strides": settings["pool_op_kernel_sizes"],
        "n_conv_per_stage": convs,
        "n_blocks_per_stage": convs,
        "n_conv_per_stage_decoder": settings["n_conv_per_stage_decoder"],
        "conv_bias": True,
        "norm_op": "InstanceNorm3d",
        "nonlin": "LeakyReLU",
    }
    return settings["UNet_class_name"], values


def _per_stage(value: Any, stages: int) -> list:
    values = [value] * stages if isinstance(value, int) else list(value)
    if len(values) != stages:
        raise ValueError(f"{value} is not one value for each of {stages} stages")
    return values


def _sizes(size: Any, flat: bool) -> list[int]:
    if isinstance(size, int):
        return [1, size, size] if flat else [size] * 3
    return [1, *size] if flat else list(size)


def _last_word(path: str) -> str:
    return path.rpartition(".")[2]
