"""New labels for an imported model: more classes in its last layers.

An imported network decides all its labels at once, so a new one cannot get a stage of its own. It begins as a part of
the background, which is what the model took it for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from Med3DCore.errors import SettingError
from Med3DCore.models.stage import Stage
from Med3DCore.networks import build_network

if TYPE_CHECKING:
    from torch import Tensor

# How much less likely than the background a new label is at first.
_PRIOR_LOGIT = -3.0
_NOISE = 0.01  # of the spread of the old weights
_MOST_CHANNELS = 256


def with_new_labels(
    stage: Stage, weights: Mapping[str, Tensor], names: Sequence[str], seed: int
) -> tuple[Stage, dict[str, Tensor]]:
    """A stage that also looks for new labels, and its weights: the old ones, and new rows of the last layers.

    Args:
        stage: An imported one.
        weights: Of its network.
        names: Of the new labels.
        seed: Of the new weights.

    Raises:
        SettingError: It would have more labels than a label map holds.
    """
    channels = len(stage.labels) + len(names)
    if channels > _MOST_CHANNELS:
        raise SettingError(f"The model has {len(stage.labels)} labels already; a label map holds {_MOST_CHANNELS - 1}.")
    network = {**stage.network, "out_channels": channels}
    with torch.device("meta"):
        wanted = build_network(network).state_dict()
    generator = torch.Generator().manual_seed(seed)
    extended = {
        name: value if value.shape == wanted[name].shape else _with_rows(value, len(names), stage, generator)
        for name, value in weights.items()
    }
    return replace(stage, network=network, labels=(*stage.labels, *names)), extended


def _with_rows(old: Tensor, count: int, stage: Stage, generator: torch.Generator) -> Tensor:
    """The weights or biases of a last layer with rows for new classes: with softmax the background's, all but."""
    start = old[:1] if stage.activation == "softmax" else torch.zeros_like(old[:1])
    rows = start.repeat(count, *[1] * (old.ndim - 1))
    if old.ndim == 1:
        return torch.cat([old, rows + _PRIOR_LOGIT])
    return torch.cat([old, rows + _NOISE * old.std() * torch.randn(rows.shape, generator=generator)])
