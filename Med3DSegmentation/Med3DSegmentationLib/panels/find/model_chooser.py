"""The choice of a model in the tab Find: kept in the scene, or the first of its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from Med3DSegmentationLib.engine.model_choices import ModelChoice
from Med3DSegmentationLib.panels.selector import Choice, Selector


class ModelChooser:
    """A combo box over models of one kind.

    Args:
        box: The QComboBox.
        description: A QLabel.
        known: Gives the models that there are.
        key: Name of the parameter that keeps the choice.
    """

    def __init__(self, box: Any, description: Any, known: Callable[[], Sequence[ModelChoice]], key: str) -> None:
        self._known, self._key = known, key
        self._parameters: Any = None
        self._selector = Selector(box, description, self._choose)

    @property
    def model(self) -> ModelChoice | None:
        """The chosen one, or the first one; None if it is not there any more."""
        models = {model.reference: model for model in self._known()}
        return models.get(self._chosen) if self._chosen else next(iter(models.values()), None)

    def refresh(self, parameters: Any) -> ModelChoice | None:
        """Offer the models that there are by now, and give the chosen one.

        Args:
            parameters: The scene's, or None while there is none.
        """
        self._parameters = parameters
        models, chosen = self._known(), self.model
        self._selector.offer([Choice(m.reference, f"{m.title} ({m.reference})", m.description) for m in models])
        self._selector.choose(chosen.reference if chosen else self._chosen)
        return chosen

    @property
    def _chosen(self) -> str:
        return getattr(self._parameters, self._key) if self._parameters else ""

    def _choose(self, reference: str) -> None:
        if self._parameters is not None:
            setattr(self._parameters, self._key, reference)
