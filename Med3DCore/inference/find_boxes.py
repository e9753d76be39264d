"""Ask a detector about a stack of slices: boxes around what it finds in the middle one."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch

from Med3DCore.inference.device import Device
from Med3DCore.networks.choose_boxes import Limits, conclude, propose
from Med3DCore.networks.detector import DetectionDecoder, Proposals
from Med3DCore.networks.network import Network


def limits_of(decoder: DetectionDecoder) -> Limits:
    """How many boxes a detector looks at: of each level twice as many anchors as it makes proposals in all."""
    return Limits(before=2 * decoder.proposals, proposals=decoder.proposals)


def box_device(device: Device) -> Device:
    """The device as detectors use it: with float32 on a CPU.

    bfloat16 gives many boxes the same score, and a small detector takes 1.5 times as long in it (two cores with AMX).
    """
    return replace(device, dtype=torch.float32) if device.torch_device.type == "cpu" else device


@torch.inference_mode()
def find_boxes(network: Network, stack: np.ndarray, device: Device) -> tuple[np.ndarray, np.ndarray]:
    """What is found in the middle slice.

    Args:
        network: A detector in evaluation mode, on the device.
        stack: Normalised float32 ``[slices, y, x]``.
        device: Where to compute.

    Returns:
        Boxes float64 ``[n, 4]`` in pixels of the stack and scores ``[n]``, 0 to 1, surest first.
    """
    decoder = cast(DetectionDecoder, network.decoder)
    image = torch.from_numpy(np.ascontiguousarray(stack))[None, None]
    image = image.to(device.torch_device, memory_format=torch.channels_last_3d)
    size, limits = (stack.shape[1], stack.shape[2]), limits_of(decoder)
    with device.autocast():
        said = cast(Proposals, network(image))
        (proposals,) = propose(decoder, said, size, limits)
        logits, deltas = decoder.look_at(said.maps, [proposals])
    return conclude(logits, deltas, proposals, size, limits)
