"""The network of Med3D's co-training: one encoder that all domains share, one decoder branch for each."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from Med3DCore.errors import SettingError
from Med3DCore.networks.checks import check_count
from Med3DCore.networks.factory import build_decoder, build_encoder
from Med3DCore.networks.network import Encoder, Network


class Med3D(nn.Module):
    """A shared encoder and a branch per domain (arXiv 1904.00625, section 3.2; papers.md A7).

    A forward pass uses one branch alone, so the others get no gradient and a step leaves them as they are. The paper's
    branch is the decoder ``"upsample"``; any other works. Statistics of batch norm in the encoder are shared, too.

    Args:
        encoder: As in :class:`Med3DCore.networks.network.Network`.
        branches: Domain name to its decoder.
    """

    def __init__(self, encoder: Encoder, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.branches = nn.ModuleDict(branches)

    def forward(self, x: Tensor, domain: str) -> Tensor | list[Tensor]:
        """Float ``[n, c, z, y, x]``, all of one domain, to that domain's logits ``[n, classes, z, y, x]``."""
        return self.network(domain)(x)

    def network(self, domain: str) -> Network:
        """The network of one domain; shares its weights with this one."""
        return Network(self.encoder, self.branches[domain])


def build_med3d(encoder: dict, branches: Mapping[str, tuple[dict, int]]) -> Med3D:
    """Make a Med3D network with random weights.

    Args:
        encoder: Description as in :func:`.build_network`.
        branches: Domain name to the description of its decoder and its number of classes.

    Raises:
        SettingError: There is no branch, or a name or argument is unknown, missing or out of range.

    Examples:
        >>> med3d = build_med3d({"name": "resnet", "depth": 10, "width": 4},
        ...                     {"heart": ({"name": "upsample"}, 1), "lungs": ({"name": "skip"}, 2)})
        >>> sorted(med3d.branches)
        ['heart', 'lungs']
    """
    if not branches:
        raise SettingError("A Med3D network needs at least one domain.")
    shared = build_encoder(encoder)
    decoders = {}
    for domain, (spec, classes) in branches.items():
        check_count(f"number of classes of the domain '{domain}'", classes)
        decoders[domain] = build_decoder(spec, shared, classes)
    return Med3D(shared, decoders)
