"""Optimizers, learning rates, running averages: what a training step needs besides the network."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from Med3DCore.errors import SettingError
from Med3DCore.networks.checks import check_choice

OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("cosine", "poly", "step", "constant")
_MOMENTUM = 0.9
_POLY_POWER = 0.9
_DROPS = (0.6, 0.85)
_COMPILER_FOLDER = "TORCHINDUCTOR_CACHE_DIR"


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that learn at the same rate.

    Args:
        parameters: The parameters.
        rate: Their learning rate as a part of the highest one; 0 freezes them.
    """

    parameters: tuple[nn.Parameter, ...]
    rate: float = 1.0


def make_optimizer(
    kind: str, groups: Sequence[ParameterGroup], learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """An optimizer over groups of parameters; those of rate 0 are frozen.

    Args:
        kind: ``"adamw"``, ``"adam"`` or ``"sgd"`` (Nesterov, momentum 0.9).
        groups: The parameters; each of the optimizer's groups keeps its ``scale`` for :func:`set_rate`.
        learning_rate: Highest learning rate.
        weight_decay: Decay of the weights, decoupled for AdamW.

    Raises:
        SettingError: The kind is unknown, or everything is frozen.
    """
    check_choice("The optimizer", kind, OPTIMIZERS)
    for group in groups:
        for parameter in group.parameters:
            parameter.requires_grad_(group.rate > 0)
    learning: list[dict[str, Any]] = [
        {"params": list(g.parameters), "scale": g.rate} for g in groups if g.rate > 0 and g.parameters
    ]
    if not learning:
        raise SettingError("Every part of the network is frozen, so there is nothing to train.")
    # All tensors of a group at once, as torch does by itself on a GPU; on a CPU Adam needs just one pass over weights,
    # gradients and moments. SGD's single pass cannot leave idle branches out.
    with _without_compiler_folder():
        if kind == "sgd":
            return torch.optim.SGD(
                learning, learning_rate, _MOMENTUM, weight_decay=weight_decay, nesterov=True, foreach=True
            )
        on_cpu = all(parameter.device.type == "cpu" for group in learning for parameter in group["params"])
        adam = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
        return adam(learning, learning_rate, weight_decay=weight_decay, fused=on_cpu, foreach=not on_cpu)


@contextmanager
def _without_compiler_folder() -> Iterator[None]:
    """The first optimizer loads torch's compiler, which makes a folder in the temporary one; nothing here compiles."""
    chosen = os.environ.get(_COMPILER_FOLDER)
    yield
    made = os.environ.get(_COMPILER_FOLDER)  # torch notes it there
    if made and chosen is None:
        with suppress(OSError):
            Path(made).rmdir()  # if it is empty
        del os.environ[_COMPILER_FOLDER]


def rate_factor(schedule: str, fraction: float) -> float:
    """The learning rate as a part of its highest value.

    Args:
        schedule: ``"cosine"`` (half a wave down to 0), ``"poly"`` (``(1 - f) ** 0.9``), ``"step"`` (a tenth after
            60 %, a hundredth after 85 %) or ``"constant"``.
        fraction: Part of the training that is done, 0..1.
    """
    check_choice("The schedule of the learning rate", schedule, SCHEDULES)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * fraction))
    if schedule == "poly":
        return (1 - fraction) ** _POLY_POWER
    if schedule == "step":
        return 0.1 ** sum(fraction >= drop for drop in _DROPS)
    return 1.0


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate; each group takes its own part of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def freeze_batch_norm(network: nn.Module) -> None:
    """Keep statistics and scales of all batch norms as they are, which small batches would spoil (papers.md D8).

    To be called after each ``network.train()``.
    """
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval().requires_grad_(False)


def keep_frozen_statistics(network: nn.Module) -> None:
    """Keep the statistics of each batch norm whose scales do not learn: they belong to weights that stay as they are.

    To be called after each ``network.train()``.
    """
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            own = list(module.parameters(recurse=False))
            if own and not any(parameter.requires_grad for parameter in own):
                module.eval()


class RunningAverage:
    """Exponential moving average of a network's weights, which is better than the last step's.

    Args:
        network: The network; its weights are the first value.
        decay: Weight of the past in each update; the first updates count more, so that the start is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self._values = list(self.network.state_dict().values())

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after ``step`` steps; counters are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(self._values, network.state_dict().values(), strict=True))
        averaged = [(mine, theirs) for mine, theirs in pairs if mine.is_floating_point()]
        get_ema_multi_avg_fn(decay)(*zip(*averaged, strict=True), None)  # all at once: a third of the time
        for mine, theirs in pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)

    def weights(self) -> dict[str, Tensor]:
        """State dict on the CPU, a copy."""
        return {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
