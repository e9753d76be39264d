"""The models that the engine knows, for every selector of the module."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from Med3DCore.errors import Med3DError
from Med3DCore.models.kinds import CLASSIFIER, DETECTOR, SCAN_CLASSIFIER
from Med3DSegmentationLib.engine.process import EngineProcess


@dataclass(frozen=True)
class ModelChoice:
    """A model, as the engine's request ``models`` lists it.

    Args:
        reference: name-version, as requests name it.
        values: What the engine tells: ``path``, ``shipped``, ``bytes``, ``problem``, ``imported``, ``channels``, and
            ``model``: its ``model.json`` without what is long.
    """

    reference: str
    values: dict[str, Any]

    @property
    def problem(self) -> str | None:
        """Why it is broken and cannot be used, or None."""
        return self.values["problem"]

    @property
    def title(self) -> str:
        """For people."""
        return self.values["model"]["title"] if self.values["model"] else self.reference

    @property
    def description(self) -> str:
        """One line about it, or about its problem."""
        return self.problem or self.values["model"]["description"]

    @property
    def organs(self) -> dict[str, str]:
        """Name and title of each label that it finds; empty for an encoder and for a broken model."""
        return {label["name"]: label["title"] for label in (self.values["model"] or {}).get("labels", ())}

    @property
    def colours(self) -> dict[str, tuple[int, int, int]]:
        """Name and colour of each of these labels, RGB, 0 to 255."""
        return {label["name"]: tuple(label["colour"]) for label in (self.values["model"] or {}).get("labels", ())}

    @property
    def isImported(self) -> bool:
        """Whether it is of another program, by whose rules it runs; on some processors in a faster way, too."""
        return self.values["imported"]

    @property
    def channels(self) -> list[str]:
        """Names of the images of a patient that it takes together, the scan first; empty for a model of one."""
        return self.values["channels"]

    @property
    def classes(self) -> list[str]:
        """What a classifier of points tells apart; empty for all other models."""
        model = self.values["model"]
        return list(model["stages"][0]["labels"]) if model and model["kind"] == CLASSIFIER else []

    @property
    def detects(self) -> bool:
        """Whether it puts boxes around what it finds."""
        return bool(self.values["model"]) and self.values["model"]["kind"] == DETECTOR

    @property
    def classifiesScans(self) -> bool:
        """Whether it tells what a whole scan shows."""
        return bool(self.values["model"]) and self.values["model"]["kind"] == SCAN_CLASSIFIER


class ModelChoices:
    """Asks the engine for its models and tells who wants to know.

    Args:
        engine: Knows them.

    Attributes:
        models: All of them, also encoders and broken ones; None until the engine told them.
        automatic: Reference of the model that is taken for an organ when none is named.
        start: Reference of the model that a training starts from when none is named; empty if there is none.
        folder: Where the user's own models are kept, which may not exist yet; empty while unknown.
        listeners: Functions without arguments, called when the models changed.
        error: Why they are not known, or None.
    """

    def __init__(self, engine: EngineProcess) -> None:
        self.models: tuple[ModelChoice, ...] | None = None
        self.automatic: dict[str, str] = {}
        self.start = self.folder = ""
        self.listeners: list[Callable[[], None]] = []
        self.error: Med3DError | None = None
        self._engine = engine

    def refresh(self) -> None:
        """Ask the engine; comes back at once."""
        self._engine.request("models", {}, self._onModels, self._onError)

    def find(self, reference: str) -> ModelChoice | None:
        """The model of that name-version, or None."""
        return next((model for model in self.models or () if model.reference == reference), None)

    def channelsOf(self, reference: str) -> list[str]:
        """Names of the images that a model takes of a patient; empty for one of a single image, and for an unknown."""
        model = self.find(reference)
        return model.channels if model else []

    def segmenting(self) -> tuple[ModelChoice, ...]:
        """Those that find organs."""
        return tuple(model for model in self.models or () if model.organs)

    def unasked(self, usual: Collection[str]) -> dict[str, str]:
        """Names and titles of what one model more finds beside the usual organs, when no model is named."""
        others = (reference for organ, reference in self.automatic.items() if organ not in usual)
        model = self.find(next(others, ""))
        organs = model.organs.items() if model else ()
        return {name: title for name, title in organs if self.automatic.get(name) == model.reference}

    def classifying(self) -> tuple[ModelChoice, ...]:
        """Those that tell what is at a point."""
        return tuple(model for model in self.models or () if model.classes)

    def classifyingScans(self) -> tuple[ModelChoice, ...]:
        """Those that tell what a whole scan shows."""
        return tuple(model for model in self.models or () if model.classifiesScans)

    def detecting(self) -> tuple[ModelChoice, ...]:
        """Those that find lesions."""
        return tuple(model for model in self.models or () if model.detects)

    def _onModels(self, answer: dict[str, Any]) -> None:
        self.models = tuple(ModelChoice(values["reference"], values) for values in answer["models"])
        self.automatic, self.start, self.folder = answer["automatic"], answer["start"] or "", answer["folder"]
        self.error = None
        self.tell()

    def _onError(self, error: Med3DError) -> None:
        self.error = error
        self.tell()

    def tell(self) -> None:
        """Let who wants to know look again."""
        for listener in list(self.listeners):
            listener()
