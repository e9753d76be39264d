"""Several networks of one kind that answer together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from Med3DCore.networks.network import Network


class Average(nn.Module):
    """The mean of the logits of several networks, so of what they find, the geometric mean of their odds.

    Networks that learned apart err apart, and their mean is usually a little better than each; it costs their time
    together but, one after the other, the memory of one.

    Args:
        members: Networks of one architecture and, to be of use, with weights of their own.
    """

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def encoders(self) -> list[nn.Module]:
        """All encoders in it: one of each member."""
        return [member.get_submodule("encoder") for member in self.members]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Float ``[n, c, z, y, x]`` to logits; a list of them, finest first, under deep supervision in training."""
        outputs = [member(x) for member in self.members]
        if isinstance(outputs[0], list):
            return [torch.stack(maps).mean(dim=0) for maps in zip(*outputs, strict=True)]
        return torch.stack(outputs).mean(dim=0)
