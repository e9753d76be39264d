"""The gradient of a wide convolution's weights, tap by tap, where that is faster on a CPU.

For a 3x3x3 kernel on channels-last maps torch computes the gradient of the weights in a layout of oneDNN's own and
copies it twice to get out of it. The kernels of layer 4 of Med3D's encoders have millions of weights and small maps: of
0.28 s for 512 to 512 channels, two maps of 8^3, dilation 4, 0.2 s are copies. Here each of the 27 taps is one product
of matrices, written where it belongs: 0.07 s (one core of an AMD EPYC with AVX2; ``docs/experiments.md``). It also
leaves out what a tap sees of the padding, with dilation 4 on such maps seven tenths of the work.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_MIN_CHANNELS = 128
# Voxels of all maps together a channel: with more, the copies of the kernel no longer matter.
_MAX_VOXELS_A_CHANNEL = 32


def is_faster_by_taps(x: Tensor, weight: Tensor) -> bool:
    """Whether :func:`conv3d_by_taps` pays for maps ``[n, c, z, y, x]`` and weights ``[o, c, z, y, x]``, stride 1."""
    channels = min(weight.shape[:2])
    return (
        channels >= _MIN_CHANNELS
        and weight.shape[2:].numel() > 1
        and x.shape[0] * x.shape[2:].numel() <= _MAX_VOXELS_A_CHANNEL * channels
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and torch.is_grad_enabled()
        and weight.requires_grad
        and not torch.is_autocast_enabled("cpu")
    )


def conv3d_by_taps(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Tensor:
    """``torch.nn.functional.conv3d`` of stride 1; the same function and gradients but for rounding.

    Args:
        x: ``[n, c, z, y, x]``.
        weight: ``[o, c, z, y, x]``.
        bias: ``[o]`` or None.
        padding: Zeros on both sides along z, y and x.
        dilation: Steps between taps along z, y and x.
    """
    return _ConvByTaps.apply(x, weight, bias, padding, dilation)


class _ConvByTaps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.dilation = padding, dilation
        return torch.conv3d(x, weight, bias, 1, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x: Tensor | None = None
        of_weight: Tensor | None = None
        of_bias: Tensor | None = None
        if ctx.needs_input_grad[0]:
            settings = ([1] * 3, ctx.padding, ctx.dilation, False, [0] * 3, 1)
            wanted = (True, False, False)
            of_x = torch.ops.aten.convolution_backward(grad, x, weight, None, *settings, wanted)[0]
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(x, grad, weight.shape[2:], ctx.padding, ctx.dilation)
        if ctx.needs_input_grad[2]:
            of_bias = grad.sum(dim=(0, 2, 3, 4))
        return of_x, of_weight, of_bias, None, None


def weight_gradient(
    x: Tensor, grad: Tensor, kernel: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Tensor:
    """Gradient of the weights of a convolution of stride 1.

    Args:
        x: Its input ``[n, c, z, y, x]``.
        grad: Gradient of its output ``[n, o, z, y, x]``.
        kernel: Taps along z, y and x.
        padding: As for :func:`conv3d_by_taps`, and so is ``dilation``.
        dilation: Steps between taps.

    Returns:
        ``[o, c, z, y, x]``, channels-last.
    """
    channels, out_channels = x.shape[1], grad.shape[1]
    inputs, outputs = (maps.permute(0, 2, 3, 4, 1) for maps in (x, grad))
    gradient = x.new_empty((out_channels, *kernel, channels))
    of_tap = gradient.permute(1, 2, 3, 0, 4)
    for tap in product(*map(range, kernel)):
        shift = [t * d - p for t, d, p in zip(tap, dilation, padding, strict=True)]
        # Where the tap of an output voxel lies inside of the input.
        first = [max(0, -s) for s in shift]
        last = [min(n, m - s) for n, m, s in zip(grad.shape[2:], x.shape[2:], shift, strict=True)]
        if all(a < b for a, b in zip(first, last, strict=True)):
            seen = outputs[:, *map(slice, first, last)]
            sees = inputs[:, *(slice(a + s, b + s) for a, b, s in zip(first, last, shift, strict=True))]
            torch.mm(seen.reshape(-1, out_channels).T, sees.reshape(-1, channels), out=of_tap[tap])
        else:
            of_tap[tap] = 0
    return gradient.permute(0, 4, 1, 2, 3)
