"""How to pre-train an encoder on pictures: a JSON file that says everything that the result depends on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from Med3DCore.errors import SettingError, fault_in_settings
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import check_description
from Med3DCore.training.learning.loop_settings import LoopSettings
from Med3DCore.training.learning.recipe import package_of
from Med3DCore.training.pictures.views import ViewSettings

# What the pictures themselves decide: three slices and no stride between them, or three colours of one slice.
_DEEP = {"in_channels": 1, "depth_stride": False}
_FLAT = {"in_channels": 3, "flat": True}


@dataclass(frozen=True)
class PictureRecipe:
    """An encoder and how pictures teach it.

    Args:
        model: Everything of the encoder's package that is known beforehand: name, version, title, description, ...
        encoder: As the ``"encoder"`` of a network's description; ``in_channels``, ``depth_stride`` and ``flat`` follow
            from the pictures.
        training: Steps, learning rate and so on.
        views: How pictures are cut and varied.
        label_smoothing: Part of the certainty that is spread over all classes.
        zero_residual: Whether each block begins as its shortcut alone, as in VDT's code (papers.md B1).
        decoder: For pictures with masks, as the ``"decoder"`` of a network's description.
        held_out: Part of each class that is kept to check on where no folder says so.
        seed: Seed of everything random.
    """

    model: dict
    encoder: dict
    training: LoopSettings
    views: ViewSettings = field(default_factory=ViewSettings)
    label_smoothing: float = 0.1
    zero_residual: bool = True
    decoder: dict = field(default_factory=lambda: {"name": "unet"})
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, most in (("label_smoothing", self.label_smoothing, 0.9), ("held_out", self.held_out, 0.9)):
            if not isinstance(value, int | float) or not 0 <= value <= most:
                raise SettingError(f"The recipe's setting '{name}' is {value!r}; it must be from 0 to {most}.")
        given = sorted(set(self.encoder) & ({*_DEEP, *_FLAT} - {"in_channels"}))
        if given and not any(self.encoder == {**self.encoder, **form} for form in (_DEEP, _FLAT)):
            raise SettingError(
                f"The recipe's encoder says '{given[0]}', which --flat and the pictures decide; leave it out."
            )
        check_description(self.package)

    @property
    def is_flat(self) -> bool:
        """Whether the encoder is a 2D one."""
        return bool(self.encoder.get("flat"))

    @property
    def package(self) -> ModelPackage:
        """The encoder's package as far as it is known before the training.

        Raises:
            SettingError: The description of the model has an unknown or missing entry.
        """
        return package_of(self.model, encoder=self.encoder)

    def network(self, classes: int, has_masks: bool) -> dict:
        """Description of the network: the encoder, and what answers for so many classes."""
        decoder = self.decoder if has_masks else {"name": "classification"}
        return {"encoder": self.encoder, "decoder": decoder, "out_channels": classes}

    def in_form(self, flat: bool) -> PictureRecipe:
        """The recipe for a network of three slices, or for the plain 2D one of three colours, which stay in order."""
        name = str(self.model.get("name", "encoder"))
        model = {**self.model, "name": f"{name}-flat", "title": f"{self.model.get('title', name)}, flat (2D)"}
        encoder = {**self.encoder, **(_FLAT if flat else _DEEP)}
        views = replace(self.views, shuffle=self.views.shuffle and not flat)
        return replace(self, model=model if flat else self.model, encoder=encoder, views=views)


def read_picture_recipe(path: Path, flat: bool = False, seed: int | None = None) -> PictureRecipe:
    """Read a recipe such as ``Resources/Recipes/pictures-small.json``.

    Args:
        path: The file.
        flat: Whether to train the 2D network of the same depth and width.
        seed: Instead of the recipe's.

    Raises:
        SettingError: It cannot be read, or has an unknown or missing setting, which the sentence names.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        unknown = sorted(set(values) - {item.name for item in fields(PictureRecipe)})
        if unknown:
            raise KeyError(f"unknown setting {unknown}")
        if not isinstance(values["model"], dict) or not isinstance(values["encoder"], dict):
            raise TypeError("'model' and 'encoder' must be objects of settings")
        settings, views = LoopSettings(**values["training"]), ViewSettings(**values.get("views", {}))
        if seed is not None:
            values["seed"] = seed
        return PictureRecipe(**{**values, "training": settings, "views": views}).in_form(flat)
    except OSError as error:
        raise SettingError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SettingError(f"The recipe {path} has a wrong or missing setting: {fault_in_settings(error)}.") from error
