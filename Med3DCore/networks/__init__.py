"""Networks: encoders, decoders, heads, and :func:`.build_network`, which makes one from a model's description."""

from Med3DCore.networks.factory import build_network

__all__ = ["build_network"]
