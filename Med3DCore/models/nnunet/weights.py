"""nnU-Net's names of weights, as ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Wrappers around a network that leave a mark in its names: several GPUs, torch.compile.
_WRAPPERS = ("module.", "_orig_mod.")
# Theirs has the same tensors under several names: those of a list of all layers, and the encoder inside the decoder.
_AGAIN = re.compile(r"^decoder\.encoder\.|\.all_modules\.")
_RENAMED = (
    (re.compile(r"^encoder\.stem\.convs\.(\d+)\."), r"encoder.stem.\1."),
    (re.compile(r"^encoder\.stages\.(\d+)\.0\.convs\.(\d+)\."), r"encoder.stages.\1.\2."),
    (re.compile(r"^encoder\.stages\.(\d+)\.blocks\.(\d+)\.skip\.[01]\."), r"encoder.stages.\1.\2.skip."),
    (re.compile(r"^encoder\.stages\.(\d+)\.blocks\.(\d+)\."), r"encoder.stages.\1.\2."),
    (re.compile(r"^decoder\.stages\.(\d+)\.convs\.(\d+)\."), r"decoder.stages.\1.\2."),
    (re.compile(r"^decoder\.transpconvs\."), "decoder.climbs."),
    (re.compile(r"^decoder\.seg_layers\."), "decoder.logits."),
)


def our_weights(theirs: Mapping[str, Tensor], flat: bool) -> dict[str, Tensor]:
    """The tensors of a checkpoint under the names of our networks; names that are not known stay, and will not fit.

    Args:
        theirs: ``network_weights`` of a checkpoint.
        flat: It is a 2D network, whose kernels get an axis of one slice.
    """
    found = {}
    for key, tensor in theirs.items():
        name = _without_wrappers(key)
        if _AGAIN.search(name):
            continue
        for pattern, ours in _RENAMED:
            name, count = pattern.subn(ours, name)
            if count:
                break
        found[name] = tensor.unsqueeze(2) if flat and tensor.ndim == 4 else tensor
    return found


def _without_wrappers(key: str) -> str:
    while prefix := next((prefix for prefix in _WRAPPERS if key.startswith(prefix)), ""):
        key = key.removeprefix(prefix)
    return key
