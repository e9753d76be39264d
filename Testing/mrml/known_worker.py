"""A worker whose answers are known: the real server and exchange, but thresholds in place of networks, and no torch.

What to do comes in the field ``model``: None or a name answers at once; "slow" takes half a minute and can be
cancelled; "deaf" cannot; "crash" and "refuse" fail; "reveal" answers and says in a warning where the scan lay, and
which further images came; "doubt" answers and warns of each organ; "many" takes the scan's values as labels, whatever
the organs are called.
"""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from Med3DCore.errors import ModelError
from Med3DCore.geometry import Geometry
from Med3DCore.inference.sides import split_lungs
from Med3DCore.io.label_names import label_for
from Med3DCore.labels import find_labels
from Med3DCore.preprocessing.hounsfield import require_modality
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume
from Med3DCore.worker.connection import Connection
from Med3DCore.worker.exchange import read_volume_array, write_volume_array
from Med3DCore.worker.registry import find_handler
from Med3DCore.worker.requests.devices import Fields as NoFields
from Med3DCore.worker.requests.preview import Fields as PreviewFields
from Med3DCore.worker.requests.segment import Fields
from Med3DCore.worker.scan import read_scan
from Med3DCore.worker.server import Server
from Med3DCore.worker.slices import warn_of_slices


def segment(fields, job):
    behave(fields.model, job)
    progress = Progress()
    with job.progress.stage("known", share=1.0):
        modality = (fields.series or {}).get("modality")
        scan = read_scan(fields.volume, fields.region, Progress(), offset=fields.offset, modality=modality)
        require_modality(scan.whole, "CT", "known-1.0.0", Progress(), fields.not_ct or fields.model == "many")
        warn_of_slices((fields.series or {}).get("files", ()), scan.whole, progress)
        array = np.zeros(scan.seen.array.shape, np.uint8)
        masks = {"liver": scan.seen.array > 60, "lungs": scan.seen.array < -400}
        for value, name in enumerate(fields.organs, start=1):
            array[masks.get(name, False)] = value
        if fields.model == "many":
            array = scan.seen.array.astype(np.uint8)
            labels = tuple(label_for(name, position) for position, name in enumerate(fields.organs))
        else:
            labels = find_labels(fields.organs)
        for name in fields.organs if fields.model == "doubt" else ():
            progress.warn(f"Is it {name}?", name, "odd")
        labels = LabelMap(array, scan.seen.geometry, "labels", labels)
        if fields.split_lungs:
            labels = split_lungs(labels, scan.whole)
        whole = scan.paste(scan.keep(labels))
        job.progress.update(0.5)
    folder = Path(fields.volume["file"]).parent
    job.log(f"folder {folder}")
    return {
        "labels": write_volume_array(whole, folder, "labels"),
        "report": {
            "labels": [],
            "model": f"{fields.model or 'known'}-1.0.0",
            "device": "CPU",
            "device_reason": "",
            "fast": fields.fast,
            "warnings": [*revealed(fields)] if fields.model == "reveal" else progress.warnings,
            "flags": progress.flags,
        },
        "model_sha256": "0f" * 32,
        "seconds": {"known": 0.1},
        "total_seconds": 0.1,
    }


def revealed(fields):
    yield f"origin {fields.volume['origin']}"
    for channel in fields.channels or ():
        yield f"{channel['name']} at {read_volume_array(channel).array.mean():.3f}"


def preview(fields, job):
    """Noise from -1 to 2 on a grid of 1.6 mm; the box is the whole scan."""
    scan = read_scan(fields.volume, fields.region, Progress()).whole
    extent = np.multiply(scan.geometry.size, scan.spacing)
    size = tuple(int(n) for n in extent / 1.6)
    geometry = Geometry(size, (1.6, 1.6, 1.6), scan.geometry.origin, scan.geometry.direction)
    array = np.random.default_rng(0).random(size[::-1], np.float32) * 3 - 1
    numbers = {"minimum": -1.0, "maximum": 2.0, "mean": 0.5, "sd": 0.87, "size": size, "spacing": geometry.spacing}
    return {
        "volume": write_volume_array(Volume(array, geometry), Path(fields.volume["file"]).parent, "preview"),
        "model": "known-1.0.0",
        "stage": "known",
        "stages": ["known"],
        "box": [list(geometry.origin), (geometry.origin + extent).tolist()],
        "box_from": "scan",
        "before": numbers,
        "after": numbers,
        "normalisation": {"name": "window", "low": -160.0, "high": 240.0, "mean": 40.0, "sd": 200.0},
        "warnings": [],
    }


def devices(fields, job):
    names = {"auto": "Known GPU", "cuda:0": "Known GPU", "cpu": "CPU"}
    return {
        "devices": [
            {"name": name, "title": title, "reason": f"{name} it is.", "fast_way": name == "cpu"}
            for name, title in names.items()
        ]
    }


def behave(model, job):
    if model == "crash":
        os.abort()
    if model == "refuse":
        raise ModelError("There is no model 'refuse'; choose another one.")
    if model == "deaf":
        job.progress.update(0.01)
        time.sleep(60)
    if model == "slow":
        with job.progress.stage("waiting", share=0.9):
            for i in range(3000):
                job.progress.update(i / 3000)
                time.sleep(0.01)


def find(kind):
    known = {
        "segment": SimpleNamespace(Fields=Fields, run=segment),
        "preview": SimpleNamespace(Fields=PreviewFields, run=preview),
        "devices": SimpleNamespace(Fields=NoFields, run=devices),
    }
    return known.get(kind) or find_handler(kind)


if __name__ == "__main__":
    sys.exit(Server(Connection.take_over(), float(sys.argv[1]), find).run())
