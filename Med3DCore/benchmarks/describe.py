"""A task in words."""

from __future__ import annotations

import numpy as np

from Med3DCore.benchmarks.task import SEGMENTATION, BenchmarkTask


def description(task: BenchmarkTask) -> str:
    """What a task asks for, where its files lie, how it is judged, and what others published."""
    source, split = task.source, task.split
    lines = [task.title, "", task.about, "", f"data set: {source['data']}", f"page: {source['page']}"]
    lines += [f"licence: {source['licence']}", *([f"paper: {source['paper']}"] if "paper" in source else [])]
    lines += ["", "Files in the folder of the data set:"]
    lines += [f"  {key}: {value}" for key, value in _files(task)]
    if task.labels:
        lines += ["", "Labels: " + ", ".join(f"{name} = {_written(value)}" for name, value in task.labels.items())]
    lines += [f"  {name}: {' + '.join(members)}" for name, members in task.regions.items()]
    lines += ["", f"Held out, by patient: {split.test:.0%} for testing, {split.validation:.0%} of the others to watch."]
    if task.kind == SEGMENTATION:
        lines += [f"Judged by: {', '.join(task.measures)}"]
    for stage in task.stages:
        encoder, training = stage["network"]["encoder"], stage["training"]
        lines.append(
            f"Stage {stage['name']}: {encoder.get('name')} {encoder.get('depth')}, width {encoder.get('width', 64)}, "
            f"{training.get('steps')} steps of {training.get('batch')} patches of {training.get('patch')}"
        )
    lines += [f"Published: {each.figure} {each.value:g}, {each.by}" for each in task.published]
    if task.phantom:
        lines += ["", f"To try it: med3d task phantom {task.name} -o DATA"]
    return "\n".join(lines)


def _files(task: BenchmarkTask) -> list[tuple[str, str]]:
    named = [*task.data.get("images", {}).items(), *task.data.get("row", {}).items()]
    return named + [(key, value) for key, value in task.data.items() if isinstance(value, str) and key != "modality"]


def _written(value: int | tuple[int, ...]) -> str:
    return "+".join(str(each) for each in np.atleast_1d(value).tolist())
