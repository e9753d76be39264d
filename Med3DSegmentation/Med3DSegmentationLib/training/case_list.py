"""All cases of a scene: its pairs, and those in files that its parameters name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import slicer

from Med3DCore.labels import Label
from Med3DSegmentationLib.training.cases import (
    FileCase,
    SceneCase,
    TrainingCase,
    Use,
    addCase,
    casesOfScene,
    removeCase,
)
from Med3DSegmentationLib.training.pairs import addAllPairs


class CaseList:
    """Reads and writes the scene; keeps nothing itself.

    Args:
        scene: The scene.

    Attributes:
        parameterNode: The scene's :class:`.parameters.Med3DParameters`, or None.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self.parameterNode: Any = None

    def all(self) -> list[TrainingCase]:
        """The pairs of the scene, then those in files."""
        return [*casesOfScene(self._scene), *self._files()]

    def addAllPairs(self, modelLabels: Mapping[str, Label]) -> int:
        """Add what :func:`.training.pairs.addAllPairs` finds; returns how many."""
        return len(addAllPairs(self._scene, modelLabels))

    def addPair(
        self, volumeNode: slicer.vtkMRMLScalarVolumeNode, segmentationNode: slicer.vtkMRMLSegmentationNode
    ) -> SceneCase:
        """Add a pair."""
        return addCase(volumeNode, segmentationNode)

    def addFiles(self, cases: Iterable[FileCase]) -> int:
        """Add cases in files, but none twice; returns how many."""
        files = self._files()
        known = {case.values["image"] for case in files}
        new = [case for case in cases if case.values["image"] not in known]
        self._writeFiles([*files, *new])
        return len(new)

    def remove(self, cases: Iterable[TrainingCase]) -> None:
        """Learn from these no longer; nodes and files stay."""
        cases = list(cases)
        for case in cases:
            if isinstance(case, SceneCase):
                removeCase(case)
        self._writeFiles([case for case in self._files() if case not in cases])

    def setUse(self, case: TrainingCase, use: Use) -> None:
        """Say what a case is for."""
        if isinstance(case, SceneCase):
            case.setUse(use)
        else:
            self._writeFiles([replace(each, use=use) if each == case else each for each in self._files()])

    def setMeaning(self, case: FileCase, name: str, label: Label | None) -> None:
        """Say what a name in a label file means, in all files that have it and in which it meant the same before."""
        self._writeFiles(
            [
                each.withMeaning(name, label)
                if name in each.named() and each.meaningOf(name) == case.meaningOf(name)
                else each
                for each in self._files()
            ]
        )

    def _files(self) -> list[FileCase]:
        """Those outside of the scene; what an edited or foreign scene holds instead of a case is left out."""
        files = []
        for text in self.parameterNode.trainingFiles if self.parameterNode else ():
            with suppress(ValueError):
                files.append(FileCase.fromText(text))
        return files

    def _writeFiles(self, cases: list[FileCase]) -> None:
        texts = [case.toText() for case in cases]
        if texts != list(self.parameterNode.trainingFiles):
            self.parameterNode.trainingFiles = texts
