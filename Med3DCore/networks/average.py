"""Several networks of one kind that answer together."""

from __future__ import annotations

from collections.abc import Sequence

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
        totals: list[Tensor] = []
        for member in self.members:
            outputs = member(x)
            levels = outputs if isinstance(outputs, list) else [outputs]
            # in float32: sums of half precision would lose digits
            totals = [a + b for a, b in zip(totals, levels, strict=True)] if totals else [a.float() for a in levels]
        means = [(total / len(self.members)).to(levels[0].dtype) for total in totals]
        return means if isinstance(outputs, list) else means[0]
