"""A stage of a model: one network with what it needs and gives."""

from __future__ import annotations

from dataclasses import dataclass, field

BACKGROUND = "background"
"""The first class of a stage whose labels exclude each other (softmax)."""


@dataclass(frozen=True)
class Stage:
    """One network of a pipeline.

    Args:
        name: Such as ``"coarse"``; letters a-z, digits, ``_`` and ``-``.
        network: Description for :func:`.build_network`.
        preprocessing: Description for ``Preprocessing.from_dict``.
        labels: Label name of each output channel; with softmax, channel 0 is ``"background"``. Of a classifier the
            classes; of points always with softmax.
        activation: ``"sigmoid"`` (a channel is a label of its own) or ``"softmax"`` (one label a voxel, or a scan).
        window: Size (z, y, x) in voxels of the sliding window, rounded down to multiples of 16, or of what a
            classifier looks at.
        region: None for the whole volume, or ``{"stage": "coarse", "margin_mm": 20}``: only the box, and so many mm
            around it, of this stage's labels as that earlier stage found them.
        postprocessing: Per label, such as ``{"liver": {"keep_largest": 1, "fill_holes": True, "min_ml": 20}}``.
        mirror: Axes (0=z, 1=y, 2=x) along which it was taught mirrored anatomy.
    """

    name: str
    network: dict
    preprocessing: dict
    labels: tuple[str, ...]
    activation: str
    window: tuple[int, int, int]
    region: dict | None = None
    postprocessing: dict[str, dict] = field(default_factory=dict)
    mirror: tuple[int, ...] = ()

    @property
    def is_imported(self) -> bool:
        """Whether it was imported from nnU-Net or MONAI, and runs by its rules."""
        return self.preprocessing.get("name") in ("nnunet", "monai")

    @property
    def found(self) -> tuple[str, ...]:
        """The labels without ``"background"``: what it looks for."""
        return tuple(name for name in self.labels if name != BACKGROUND)

    @classmethod
    def from_dict(cls, values: dict) -> Stage:
        """The inverse of ``dataclasses.asdict``."""
        window = tuple(int(v) for v in values["window"])
        mirror = tuple(values.get("mirror", ()))
        return cls(**{**values, "labels": tuple(values["labels"]), "window": window, "mirror": mirror})
