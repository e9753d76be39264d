"""A 2D ResNet's weights in a 3D one, in the three usual ways (papers.md B3: the starts that VDT is compared with).

Each is a start of the same 3D network, all of whose taps learn afterwards, so that trainings differ in their start
alone. The original ACS and 2.5D networks keep to a ninth to a third of those weights; before the first step the
function is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from Med3DCore.networks.checks import check_choice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

WAYS = ("2.5d", "i3d", "acs")


def is_flat(weights: Mapping[str, Tensor]) -> bool:
    """Whether an encoder's weights are those of a 2D network: its stem has one tap along z."""
    stem = weights.get("conv1.weight")
    return stem is not None and stem.ndim == 5 and stem.shape[2] == 1 < stem.shape[3]


def inflate(weights: Mapping[str, Tensor], way: str) -> dict[str, Tensor]:
    """Weights of a flat encoder as those of the 3D one; whatever is no wide kernel stays.

    Args:
        weights: By name; kernels ``[o, c, 1, y, x]``.
        way: ``"2.5d"``: the kernel lies in its slice, the other taps are 0. ``"i3d"``: it is repeated along z and
            divided by the number of taps, so that of a volume which is constant along z it gives what the 2D one gave.
            ``"acs"``: it lies in the axial plane for the first third of the output channels, in the coronal and
            sagittal ones for the others; what is left of a division by three goes to the first, then the second.

    Raises:
        SettingError: The way is unknown.
    """
    check_choice("the way to use 2D weights in 3D", way, WAYS)
    return {key: _kernel(value, way) if value.ndim == 5 else value for key, value in weights.items()}


def _kernel(flat: Tensor, way: str) -> Tensor:
    size = flat.shape[-1]
    if size == 1:
        return flat
    if way == "i3d":
        return flat.repeat(1, 1, size, 1, 1) / size
    kernel, middle = flat.new_zeros(*flat.shape[:2], size, size, size), size // 2
    count, left = divmod(len(flat), 3)
    axial, coronal = (len(flat), 0) if way == "2.5d" else (count + (left > 0), count + (left > 1))
    kernel[:axial, :, middle] = flat[:axial, :, 0]
    kernel[axial : axial + coronal, :, :, middle] = flat[axial : axial + coronal, :, 0]
    kernel[axial + coronal :, :, :, :, middle] = flat[axial + coronal :, :, 0]
    return kernel
