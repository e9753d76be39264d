"""From a model's description, as it stands in ``model.json``, to the network."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING

from Med3DCore.errors import SettingError
from Med3DCore.networks.checks import check_choice, check_count

if TYPE_CHECKING:
    from torch import nn

    from Med3DCore.networks.average import Average
    from Med3DCore.networks.layers import Stride
    from Med3DCore.networks.network import Encoder, Network

# Names in a description, and where the class is: torch is imported only when a network is built.
ENCODERS = {
    "resnet": ("resnet", "ResNetEncoder"),
    "preact_resnet": ("preact_resnet", "PreActResNetEncoder"),
    "plain_conv": ("nnunet_encoders", "PlainConvEncoder"),
    "residual": ("nnunet_encoders", "ResidualEncoder"),
    "segresnet": ("segresnet", "SegResNetEncoder"),
}
DECODERS = {
    "upsample": ("decoders", "UpsampleDecoder"),
    "lung": ("decoders", "LungDecoder"),
    "skip": ("skip_decoder", "SkipDecoder"),
    "denseaspp": ("denseaspp", "DenseASPPDecoder"),
    "unet": ("vdt_decoders", "UNetDecoder"),
    "nodule": ("vdt_decoders", "NoduleDecoder"),
    "nnunet": ("nnunet_decoder", "NnunetDecoder"),
    "segresnet": ("segresnet", "SegResNetDecoder"),
    "classification": ("heads", "ClassificationHead"),
    "scan_classification": ("heads", "ClassificationHead"),
    "detection": ("detector", "DetectionDecoder"),
}
GIVEN_BY_ENCODER = ("in_channels", "strides", "out_channels")


def build_network(spec: dict) -> Network | Average:
    """Make a network with random weights.

    Args:
        spec: Plain JSON values: ``encoder`` and ``decoder``, each a ``name`` and the arguments of that class
            (what is left out takes the class's default), ``out_channels``, the number of classes, and perhaps
            ``members``, how many such networks answer together.

    Returns:
        A module whose ``encoder`` and ``decoder`` are what the description names, or the average of several. It maps
        float ``[n, c, z, y, x]`` to logits ``[n, out_channels, z, y, x]``, ``[n, out_channels]`` with the
        classification head, or :class:`.Proposals` with the detection decoder.

    Raises:
        SettingError: A name or argument is unknown, missing or out of range.

    Examples:
        >>> network = build_network({"encoder": {"name": "resnet", "depth": 10, "width": 4, "output_stride": 32},
        ...                          "decoder": {"name": "skip", "channels": [8, 8, 4, 4]}, "out_channels": 2})
        >>> network.encoder.channels
        [4, 4, 8, 16, 32]
    """
    required = {"encoder", "decoder", "out_channels"}
    _check_keys("the network", spec, {*required, "members"}, required)
    out_channels, members = spec["out_channels"], spec.get("members", 1)
    check_count("out_channels of the network", out_channels)
    check_count("members of the network", members)
    _check_detecting(spec, members)
    from Med3DCore.networks.average import Average
    from Med3DCore.networks.network import Network

    def build() -> Network:
        encoder = build_encoder(spec["encoder"])
        return Network(encoder, build_decoder(spec["decoder"], encoder, out_channels))

    return build() if members == 1 else Average([build() for _ in range(members)])


def build_encoder(spec: dict) -> Encoder:
    """Make the ``"encoder"`` of a description, with random weights.

    Raises:
        SettingError: As :func:`.build_network`.
    """
    cls, arguments = _resolve("encoder", spec, ENCODERS, ())
    return cls(**arguments)


def last_stride(spec: dict) -> Stride:
    """Input voxels per voxel of the last map of an encoder, without making its weights.

    Raises:
        SettingError: As :func:`.build_network`.
    """
    import torch

    with torch.device("meta"):
        return build_encoder(spec).strides[-1]


def build_decoder(spec: dict, encoder: Encoder, out_channels: int) -> nn.Module:
    """Make the ``"decoder"`` of a description for an encoder, with random weights.

    Raises:
        SettingError: As :func:`.build_network`.
    """
    cls, arguments = _resolve("decoder", spec, DECODERS, GIVEN_BY_ENCODER)
    return cls(encoder.channels, encoder.strides, out_channels, **arguments)


def _check_detecting(spec: dict, members: int) -> None:
    """Refuse what a detector cannot be, and what only a detector can be.

    Raises:
        SettingError: It is such a network.
    """
    detects = isinstance(spec["decoder"], dict) and spec["decoder"].get("name") == "detection"
    if detects and members > 1:
        raise SettingError("Several detectors cannot answer together; leave out members.")
    if not detects and isinstance(spec["encoder"], dict) and spec["encoder"].get("depth_pools"):
        raise SettingError("depth_pools of the encoder take slices away, so the decoder must be 'detection'.")


def _resolve(part: str, values: dict, known: dict, given: tuple[str, ...]) -> tuple[type, dict]:
    """The class that ``values["name"]`` stands for, and the checked arguments for it."""
    if not isinstance(values, dict) or "name" not in values:
        raise SettingError(f"The {part} of the network has no name; give one of: {', '.join(known)}.")
    arguments = dict(values)
    name = arguments.pop("name")
    check_choice(f"name of the {part}", name, known)
    module, class_name = known[name]
    cls = getattr(import_module(f"Med3DCore.networks.{module}"), class_name)
    parameters = {k: p for k, p in inspect.signature(cls).parameters.items() if k not in given}
    required = {k for k, p in parameters.items() if p.default is p.empty}
    _check_keys(f"the {part} '{name}'", arguments, set(parameters), required)
    return cls, arguments


def _check_keys(what: str, values: dict, known: set[str], required: set[str]) -> None:
    for key in values:
        if key not in known:
            raise SettingError(f"Unknown setting '{key}' of {what}; known settings: {', '.join(sorted(known))}.")
    for key in sorted(required):
        if key not in values:
            raise SettingError(f"The setting '{key}' of {what} is missing.")
