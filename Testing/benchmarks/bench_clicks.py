"""The first and the later clicks on *Both*: what the module asks of its worker, from the scan's voxels to labels.

    python Testing/benchmarks/bench_clicks.py [--scan CT.nii.gz] [--model FILE] [--clicks 4]

The worker is started, waits for requests, and keeps torch and networks from click to click, as it does for Slicer. A
click is timed from the volume in memory, which is handed over through the exchange folder, to the label map in memory.
Threads are those that the module has: torch's own choice, unless OMP_NUM_THREADS is set. The scan is that of
``bench_segment.py``. Processor time is of the worker, and of this process, which hands over; Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from bench_segment import make_scan

from Med3DCore.io import read_volume
from Med3DCore.volume import Volume
from Med3DCore.worker.client import WorkerClient
from Med3DCore.worker.exchange import new_exchange_folder, read_label_array, write_volume_array

ORGANS = ["liver", "lungs"]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--model", help="name or file; by default the one that ships and looks closest")
    parser.add_argument("--clicks", type=int, default=4)
    arguments = parser.parse_args()
    volume = read_volume(arguments.scan or make_scan())
    print(f"{' x '.join(map(str, volume.geometry.size))} voxels; load of the computer {os.getloadavg()[0]:.1f}")
    with WorkerClient() as client:
        client.request("models")
        labels: list[np.ndarray] = []
        for number in range(1, arguments.clicks + 1):
            labels.append(click(client, volume, arguments.model, number))
    print("the same labels each time" if all(np.array_equal(labels[0], each) for each in labels) else "labels differ")


def click(client: WorkerClient, volume: Volume, model: str | None, number: int) -> np.ndarray:
    """Segment once and print how long it took; gives the labels."""
    begin, before = time.perf_counter(), (_processor_seconds(client), time.process_time())
    with new_exchange_folder() as folder:
        description = write_volume_array(volume, folder, "scan")
        handed_over = time.perf_counter() - begin
        answer = client.request("segment", volume=description, organs=ORGANS, model=model)
        labels = np.array(read_label_array(answer["labels"]).array)
    wall = time.perf_counter() - begin
    worker, own = _processor_seconds(client) - before[0], time.process_time() - before[1]
    print(f"click {number}: {wall:.2f} s; processor: worker {worker:.2f} s, handing over and back {own:.2f} s")
    print(
        f"  hand over {handed_over:.2f} s, on {answer['report']['device']}: {json.dumps(answer['seconds'])}", flush=True
    )
    return labels


def _processor_seconds(client: WorkerClient) -> float:
    """Of the worker's process."""
    if client.ready is None:
        raise SystemExit("the worker does not run")
    fields = Path(f"/proc/{client.ready.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
