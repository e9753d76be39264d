"""A tiny data set in DeepLesion's layout: balls in a box of water, some slices each; a recipe that learns them."""

import csv
import json
from pathlib import Path

import numpy as np

from Med3DCore.io.hounsfield_png import write_hounsfield_png

COLUMNS = ["File_name", "Patient_index", "Study_index", "Series_ID", "Key_slice_index", "Measurement_coordinates"]
COLUMNS += ["Bounding_boxes", "Lesion_diameters_Pixel_", "Possibly_noisy", "Slice_range", "Spacing_mm_px_"]
COLUMNS += ["Image_size", "Train_Val_Test"]
_RECIPES = Path(__file__).parents[2] / "Resources" / "Recipes"
SPACING = (2.0, 2.0, 5.0)


def row(patient, key, box, split=1, size=(64, 48), first=10, last=16, **other):
    """A row as published; ``other`` replaces cells."""
    diameter = max(box[2] - box[0], box[3] - box[1]) - 10
    values = {
        "File_name": f"{patient:06}_01_01_{key:03}.png",
        "Patient_index": patient,
        "Study_index": 1,
        "Series_ID": 1,
        "Key_slice_index": key,
        "Measurement_coordinates": "0, 0, 0, 0, 0, 0, 0, 0",
        "Bounding_boxes": ", ".join(f"{value:g}" for value in box),
        "Lesion_diameters_Pixel_": f"{diameter}, {diameter}",
        "Possibly_noisy": 0,
        "Slice_range": f"{first}, {last}",
        "Spacing_mm_px_": ", ".join(f"{value:g}" for value in SPACING),
        "Image_size": f"{size[0]}, {size[1]}",
        "Train_Val_Test": split,
    }
    return {**values, **other}


def write_table(folder, rows):
    """The table, as published."""
    path = folder / "DL_info.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_series(folder, patient, balls, size=(64, 48), first=10, last=16, noise=20.0):
    """The slices of a series; balls are (x, y, slice, radius in mm), 150 HU in water."""
    series = folder / "Images_png" / f"{patient:06}_01_01"
    series.mkdir(parents=True)
    rng = np.random.default_rng(patient)
    z, y, x = np.meshgrid(np.arange(first, last + 1), np.arange(size[1]), np.arange(size[0]), indexing="ij")
    hu = rng.normal(0, noise, z.shape)
    for cx, cy, key, radius in balls:
        distance = np.sqrt(((x - cx) * SPACING[0]) ** 2 + ((y - cy) * SPACING[1]) ** 2 + ((z - key) * SPACING[2]) ** 2)
        hu[distance < radius] += 150
    for index, picture in zip(range(first, last + 1), hu, strict=True):
        write_hounsfield_png(picture, series / f"{index:03}.png")
    return series


def write_balls(folder, patients=6, held_out=2):
    """Patients with one or two balls each in slice 13, the last ones for validation; returns the folder."""
    rows = []
    for patient in range(1, patients + 1):
        rng = np.random.default_rng([patient, 3])
        balls = [(x + rng.integers(-4, 5), 24 + rng.integers(-6, 7), 13, rng.uniform(6, 10)) for x in (16, 46)]
        balls = balls[: 1 + patient % 2]
        write_series(folder, patient, balls)
        split = 2 if patient > patients - held_out else 1
        for x, y, key, radius in balls:
            r = radius / SPACING[0] + 5
            rows.append(row(patient, key, (x - r, y - r, x + r, y + r), split))
    write_table(folder, rows)
    return folder


def recipe_values(**training):
    """Of detection-small.json, far smaller: learned in 20 seconds."""
    values = json.loads((_RECIPES / "detection-small.json").read_text())
    (stage,) = values["stages"]
    stage["network"]["encoder"]["width"] = 4
    stage["network"]["decoder"] |= {"channels": 16, "hidden": 32, "proposals": 40}
    stage["preprocessing"]["spacing"] = [2.0, 2.0, 5.0]
    stage["training"] |= {"steps": 120, "patch": [9, 48, 64], "batch": 2, "warmup": 5, "learning_rate": 0.01}
    stage["training"] |= {"ema": 0.9, "validate_every": 0, "foreground": 0.5, **training}
    stage["training"]["augmentation"] = {"scale": 1.1, "probability": 0.0, "shift": 0.0, "contrast": 1.0}
    return values
