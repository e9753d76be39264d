"""A start that is compared with others, and what to call it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from Med3DCore.errors import SettingError
from Med3DCore.training.learning.initialization import is_checkpoint, split_way


@dataclass(frozen=True)
class Init:
    """Where trainings start.

    Args:
        name: What to call it in tables and folders.
        source: As for :func:`Med3DCore.training.learning.initialization.find_start`.
    """

    name: str
    source: str

    @property
    def told(self) -> str:
        """The source without folders, for files that leave this computer.

        Examples:
            >>> Init("I3D", "i3d:/home/me/resnet18.pth").told
            'i3d:resnet18.pth'
        """
        way, model = split_way(self.source)
        return ":".join(filter(None, (way, PurePath(model).name)))

    @classmethod
    def parse(cls, text: str) -> Init:
        """``SOURCE``, ``SOURCE=NAME``, or ``NAME=SOURCE`` where the source is a file.

        Raises:
            SettingError: The name cannot be that of a folder.

        Examples:
            >>> Init.parse("runs/eight/phantoms8-0.1.0.med3d.zip").name
            'phantoms8-0.1.0'
            >>> Init.parse("resnet_50.pth=MedicalNet").name
            'MedicalNet'
            >>> Init.parse("MedicalNet=resnet_50.pth").source
            'resnet_50.pth'
            >>> Init.parse("i3d:resnet18.pth").name
            'i3d-resnet18.pth'
        """
        source, _, name = text.partition("=")
        if is_checkpoint(name) or name.endswith(".zip"):
            source, name = name, source
        way, model = split_way(source)
        model = PurePath(model).name.removesuffix(".zip").removesuffix(".med3d")
        name = name or "-".join(filter(None, (way, model)))
        if not re.fullmatch(r"\w[\w.+-]*", name):
            raise SettingError(
                f"'{name}' cannot be the name of a start; give one of letters and digits: {source}=NAME."
            )
        return cls(name, source)
