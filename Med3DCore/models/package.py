"""The model package: one zip file with everything that is needed to use a model (docs: decision 2 of the design).

``name-version.med3d.zip`` holds ``model.json`` (described in ``model.schema.json``), ``weights/<stage>.pt`` with
tensors only, and perhaps ``card.md``, the model card. Reading one never runs code from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.errors import ModelError, SettingError
from Med3DCore.geometry import Triple
from Med3DCore.labels import Label
from Med3DCore.models import archive as zips
from Med3DCore.models.channels import channel_names
from Med3DCore.models.document import SCHEMA_VERSION
from Med3DCore.models.in_use import require_in_place, still_in_place
from Med3DCore.models.kinds import CLASSIFIER, DETECTOR, ENCODER, KINDS, PIPELINE, SCAN_CLASSIFIER
from Med3DCore.models.stage import Stage

if TYPE_CHECKING:
    from torch import Tensor, nn


def utc_now() -> str:
    """The time as packages write it, such as ``"2025-11-20T17:31:00Z"``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def name_from_title(title: str, longest: int = 64) -> str:
    """A name for a model or stage: ``"Fatty liver, CT"`` is ``"fatty-liver-ct"``."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower())[:longest].strip("-") or "model"


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """What a model is, needs and gives.

    It is a pipeline of stages that segment; a classifier of points, a classifier of whole scans or a detector (one
    stage, no labels); or an encoder to start training from.

    Args:
        name: Such as ``"liver-lungs"``; letters a-z, digits, ``_`` and ``-``.
        version: Three numbers, such as ``"1.0.0"``.
        title: Name shown to people.
        description: One line.
        modality: DICOM modality of the scans, such as ``"CT"``; several joined by a slash.
        licence: Of the weights.
        labels: What the user gets, each found by at least one stage; a later stage refines an earlier one. Empty for
            an encoder, a classifier and a detector, which paint nothing.
        stages: In the order they run. Empty for an encoder.
        encoder: None, or the description of an encoder as in the ``"encoder"`` of a network description; the weights
            then have the encoder's own names (``conv1.weight`` ...).
        expected_spacing_mm: Smallest and largest spacing (x, y, z) of the scans it was made for, or None.
        provenance: Where the weights come from: ``data_sets`` (each with name, licence, attribution), seeds, steps,
            versions, data hashes, settings.
        metrics: Measured on held-out cases, each case by itself.
        parent: name-version of the model it was fine-tuned from, or None.
        created: UTC, such as ``"2025-11-20T17:31:00Z"``; now by default.
        card: Model card, Markdown; may be empty.
        path: The file that the package was loaded from, or None.
        members: The archive's entries as in ``model.json``.
    """

    name: str
    version: str
    title: str
    description: str
    modality: str
    licence: str
    labels: tuple[Label, ...] = ()
    stages: tuple[Stage, ...] = ()
    encoder: dict | None = None
    expected_spacing_mm: tuple[Triple, Triple] | None = None
    provenance: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    parent: str | None = None
    created: str = field(default_factory=utc_now)
    card: str = ""
    path: Path | None = field(default=None, compare=False, repr=False)
    members: tuple[dict, ...] = field(default=(), compare=False, repr=False)

    @property
    def kind(self) -> str:
        """``"pipeline"``, ``"classifier"``, ``"scan_classifier"``, ``"detector"`` or ``"encoder"``."""
        if self.encoder is not None:
            return ENCODER
        heads = {stage.network.get("decoder", {}).get("name") for stage in self.stages}
        return KINDS.get(next(iter(heads)), PIPELINE) if len(heads) == 1 else PIPELINE

    @property
    def is_imported(self) -> bool:
        """Whether it was imported from nnU-Net or MONAI, and runs by its rules."""
        return any(stage.is_imported for stage in self.stages)

    @property
    def file(self) -> Path:
        """The file that it was loaded from.

        Raises:
            ModelError: It was made here and is in no file yet.
        """
        if self.path is None:
            raise ModelError(f"{self.reference} is in no file yet; save it first.")
        return self.path

    @property
    def reference(self) -> str:
        """name-version, as models are named in a parent and on the command line."""
        return f"{self.name}-{self.version}"

    @property
    def file_name(self) -> str:
        """The name that the package's file should have."""
        return self.reference + zips.SUFFIX

    @property
    def version_numbers(self) -> tuple[int, ...]:
        """The version in a form that sorts."""
        return tuple(int(number) for number in self.version.split("."))

    @property
    def parts(self) -> tuple[str, ...]:
        """What has weights: the names of the stages, or ``("encoder",)``."""
        return (ENCODER,) if self.encoder is not None else tuple(stage.name for stage in self.stages)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels the user gets."""
        return tuple(label.name for label in self.labels)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the images of a patient that it takes together, the scan first; none for a model of one."""
        return channel_names(self.stages, self.provenance)

    def require_pipeline(self) -> None:
        """Refuse a model that does not segment.

        Raises:
            ModelError: It is an encoder, a classifier or a detector.
        """
        if self.kind != PIPELINE:
            purpose = {
                ENCODER: "an encoder to start training from",
                CLASSIFIER: "a classifier, which paints nothing",
                SCAN_CLASSIFIER: "a classifier of whole scans, which paints nothing (med3d classify scan)",
                DETECTOR: "a detector, which puts boxes around lesions (med3d detect)",
            }
            raise ModelError(f"{self.reference} is {purpose[self.kind]}; choose a model with labels.")

    def require_label(self, name: str) -> None:
        """Refuse a label that the model does not find.

        Raises:
            SettingError: The user does not get this label from it.
        """
        if name not in self.label_names:
            known = ", ".join(self.label_names)
            raise SettingError(f"The model {self.reference} does not know '{name}'; it knows {known}.")

    def to_dict(self) -> dict:
        """Plain values, as in ``model.json``."""
        values = asdict(self)
        for key in ("path", "card"):
            del values[key]
        return {"schema_version": SCHEMA_VERSION, "kind": self.kind, **values}

    @classmethod
    def from_dict(cls, values: dict) -> ModelPackage:
        """The inverse of :meth:`to_dict` for values that fit the schema."""
        values = {key: value for key, value in values.items() if key not in ("schema_version", "kind")}
        spacing = values["expected_spacing_mm"]
        values["expected_spacing_mm"] = spacing and tuple(tuple(float(v) for v in triple) for triple in spacing)
        values["labels"] = tuple(Label.from_dict(label) for label in values["labels"])
        values["stages"] = tuple(Stage.from_dict(stage) for stage in values["stages"])
        values["members"] = tuple(values["members"])
        return cls(**values)

    def read_weights(self, part: str) -> dict[str, Tensor]:
        """The weights of a stage, or of the encoder (``"encoder"``), after a check that they are whole and fit.

        Returns:
            State dict on the CPU; all floats are float32.

        Raises:
            ModelError: There is no such part, the file was damaged or changed, or they do not fit its network.
        """
        from Med3DCore.models.weights import tensors_from_bytes

        member = weights_member(part)
        entry = next((entry for entry in self.members if entry["name"] == member), None)
        if self.path is None or entry is None:
            raise ModelError(f"{self.reference} has no weights '{part}'; it has: {', '.join(self.parts)}.")
        with still_in_place(self.path, self.members), zips.open_archive(self.path) as archive:
            data = zips.read_member(archive, entry, self.path.name)
        weights = tensors_from_bytes(data, f"{member} of {self.path.name}")
        self._check_weights(part, weights)
        return weights

    def digest(self) -> str:
        """SHA-256 of its file.

        Raises:
            ModelError: It is in no file, or was removed or replaced since it was loaded.
        """
        require_in_place(self.file, self.members)
        with self.file.open("rb") as stream:
            return zips.sha256_of(stream)

    def network(self, part: str) -> nn.Module:
        """The network of a stage, or the encoder, with its weights, in evaluation mode on the CPU.

        Raises:
            ModelError: As :meth:`read_weights`.
        """
        import torch

        weights = self.read_weights(part)
        with torch.device("meta"):  # no random weights, which take time and as much memory again
            network = self._build(part)
        network.load_state_dict(weights, assign=True)
        return network.eval()

    def verify(self) -> None:
        """Read everything, check every hash, and check that all weights fit their networks.

        Raises:
            ModelError: Something is damaged, unsafe or does not fit.
        """
        for part in self.parts:
            self.read_weights(part)

    def _check_weights(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """Compare weights with the description; takes no memory, however huge a network that promises."""
        import torch

        from Med3DCore.models.weights import check_fit

        with torch.device("meta"):
            wanted = self._build(part).state_dict()
        check_fit(wanted, weights, f"'{part}' of {self.reference}")

    def _build(self, part: str) -> nn.Module:
        """The network of a part with random weights; checks the stage's descriptions on the way."""
        from Med3DCore.networks import build_network
        from Med3DCore.preprocessing.imported import any_preprocessing

        try:
            if self.encoder is not None:
                spec = {"encoder": self.encoder, "decoder": {"name": "upsample"}, "out_channels": 1}
                return build_network(spec).encoders()[0]
            stage = next(stage for stage in self.stages if stage.name == part)
            any_preprocessing(stage.preprocessing)
            return build_network(stage.network)
        except SettingError as error:
            raise ModelError(f"{self.reference} cannot be used by this version of Med3D: {error}") from error


def weights_member(part: str) -> str:
    """The archive's entry with the weights of a stage or of the encoder."""
    return f"weights/{part}.pt"
