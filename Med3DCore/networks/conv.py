"""The 3D convolution of all networks here: torch's, less three slow paths and a wrong one."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from Med3DCore.networks.few_slices import conv3d_of_few_slices, is_faster_in_2d
from Med3DCore.networks.tap_gradient import conv3d_by_taps, is_faster_by_taps


class Conv3d(nn.Conv3d):
    """``torch.nn.Conv3d`` that stays fast on the CPU, for a single small volume and in training.

    For one float32 volume whose channels times z times y are at most 20480, torch leaves oneDNN for a plain im2col
    convolution, a rule made for 2D images; with 3D maps it costs 3 to 10 times more (128 channels at 12^3: 11 ms
    against 2.7 ms on two cores of an AMD Zen 5). Without gradients this class calls oneDNN directly. With them, the
    gradient of many weights from small maps is computed by :mod:`.tap_gradient`, and a large kernel on the three slices
    of a picture by :mod:`.few_slices`. Same function, arguments and state-dict keys.

    In bfloat16 on a CPU with AVX-512, the gradient of the weights holds memory that nobody wrote where fewer slices
    are seen than the kernel is long, such as 2 by a kernel of 3 (torch 2.13.0, oneDNN 3.12.0;
    ``findings/conv3d-bfloat16-gradient.sh``). Those few voxels are convolved in float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As ``torch.nn.Conv3d``."""
        if isinstance(self.padding, str) or self.padding_mode != "zeros":  # not numbers of zeros on both sides
            return super().forward(x)
        if is_faster_in_2d(x, self):
            return conv3d_of_few_slices(x, self.weight, self.bias, self.stride, self.padding)
        if self.stride == (1, 1, 1) and self.groups == 1 and is_faster_by_taps(x, self.weight):
            return conv3d_by_taps(x, self.weight, self.bias, self.padding, self.dilation)
        if _gradient_may_be_wrong(x, self):
            with torch.autocast("cpu", enabled=False):
                bias = None if self.bias is None else self.bias.float()
                y = F.conv3d(
                    x.float(), self.weight.float(), bias, self.stride, self.padding, self.dilation, self.groups
                )
            return y.bfloat16()
        return convolved(x, self, self.padding)


def convolved(x: Tensor, conv: nn.Conv3d, padding: tuple[int, ...]) -> Tensor:
    """The convolution with so many zeros around the map, in the place of its own padding."""
    if not _torch_may_be_slow(x, conv.weight):
        return F.conv3d(x, conv.weight, conv.bias, conv.stride, padding, conv.dilation, conv.groups)
    return torch.ops.aten.mkldnn_convolution(
        x, conv.weight, conv.bias, padding, conv.stride, conv.dilation, conv.groups
    )


def enlarged(x: Tensor, conv: nn.ConvTranspose3d) -> Tensor:
    """The transposed convolution by a kernel that is as large as its steps, so that no slice touches another."""
    if not _torch_may_be_slow(x, conv.weight):
        return conv(x)
    # torch never leaves oneDNN for several volumes, here of one slice each.
    return conv(x[0].transpose(0, 1)[:, :, None]).transpose(0, 1).flatten(1, 2)[None]


def _gradient_may_be_wrong(x: Tensor, conv: nn.Conv3d) -> bool:
    return bool(
        1 < x.shape[-3] < conv.kernel_size[0]
        and conv.dilation[0] == 1
        and x.device.type == "cpu"
        and torch.is_grad_enabled()
        and conv.weight.requires_grad
        and is_bfloat16(x)
    )


def is_bfloat16(x: Tensor) -> bool:
    """Whether a layer computes in bfloat16 what it is given, on a CPU."""
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return autocast or x.dtype == torch.bfloat16


def _torch_may_be_slow(x: Tensor, weight: Tensor) -> bool:
    return bool(
        x.shape[0] == 1
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.enabled
        and torch.backends.mkldnn.is_available()
    )
