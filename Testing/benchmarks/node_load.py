"""The DICOM node under load: many series at once, memory by series, and seconds from sending to the SEG coming back.

    python Testing/benchmarks/node_load.py [--series 20] [--slices 40] [--size 256]
    python Testing/benchmarks/node_load.py --one-by-one --model liver-lungs --ct CT --series 3 --slices 300 --size 512

Starts a node in a process of its own and an archive that counts what comes. All series are sent at once, each in an
association of its own, to a network of a few weights that finds what is bright; printed is the node's memory (RSS)
after each. With ``--one-by-one`` each is sent when the one before has come back, and ``med3d segment`` on the same
folder takes turns with the node, both with an installed model on a real CT that is resampled to that size.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from bright_model import make_stage, save_model
from ct_series import write_ct_series
from node_helpers import Archive, configuration, free_port, send_folder, start_node, until

from Med3DCore.geometry import Geometry

ORGANS = ("liver", "lungs")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--model", help="an installed model (default: a tiny network)")
    parser.add_argument("--ct", type=Path, help="a CT to be resampled (default: a box in a box of noise)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work(Path(folder), arguments)


def work(folder: Path, arguments: argparse.Namespace) -> None:
    """Make the series, start the node, send, and print."""
    if not arguments.model:
        (folder / "models").mkdir()
        save_model(folder / "models", "bright", [make_stage("only", ORGANS, 6.0)])
        os.environ["MED3D_MODELS"] = str(folder / "models")
    hu, geometry = scan(arguments)
    for number in range(-1, arguments.series):
        write_ct_series(folder / f"ct{number}", hu, geometry, f"s{number}")
    port, archive_port = free_port(), free_port()
    archive = Archive(archive_port)
    path = configuration(folder, port, archive_port, "[limits]\nassociations = 30")
    text = path.read_text(encoding="utf-8").replace("released_seconds = 0.25\nsilent_seconds = 1\n", "")  # as usual
    path.write_text(text.replace('"bright"', f'"{arguments.model or "bright"}"'), encoding="utf-8")
    node = start_node(path, dict(os.environ))
    print(f"{arguments.series} series of {arguments.size} x {arguments.size} x {arguments.slices}")
    try:
        send_folder(folder / "ct-1", port)  # so that all is loaded
        until(lambda: len(archive.objects) == 1, 600)
        (one_by_one if arguments.one_by_one else at_once)(folder, arguments, port, archive, node.pid)
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait()
        archive.close()


def at_once(folder: Path, arguments: argparse.Namespace, port: int, archive: Archive, pid: int) -> None:
    """All in one moment."""
    start, told = time.monotonic(), 1
    senders = [
        threading.Thread(target=send_folder, args=(folder / f"ct{number}", port)) for number in range(arguments.series)
    ]
    for sender in senders:
        sender.start()
    print(f"  before  {memory(pid):7.1f} MB")
    while len(archive.objects) < arguments.series + 1 or any(sender.is_alive() for sender in senders):
        time.sleep(0.1)
        if len(archive.objects) > told:
            told = len(archive.objects)
            print(f"  {told - 1:4} back  {memory(pid):7.1f} MB  {time.monotonic() - start:6.1f} s", flush=True)
    time.sleep(3)
    studies = {made.StudyInstanceUID for made in archive.objects.values()}
    times = sorted(set(archive.times.values()))
    print(f"{len(studies) - 1} studies, {len(archive.objects) - 1} SEG, each sent {times} times")


def one_by_one(folder: Path, arguments: argparse.Namespace, port: int, archive: Archive, pid: int) -> None:
    """Node and command in turns; both read, segment and write a SEG."""
    nodes, commands = [], []
    for number in range(arguments.series):
        count, start = len(archive.objects), time.monotonic()
        send_folder(folder / f"ct{number}", port)
        sent = time.monotonic() - start
        until(lambda: len(archive.objects) > count, 1200)  # noqa: B023
        nodes.append(time.monotonic() - start)
        command = [sys.executable, "-m", "Med3DCore.cli.main", "segment", folder / f"ct{number}", "--quiet"]
        command += ["-o", folder / "r.seg.dcm", *(("--model", arguments.model) if arguments.model else ())]
        start = time.monotonic()
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
        commands.append(time.monotonic() - start)
        print(
            f"  node {nodes[-1]:6.2f} s (sending {sent:.2f} s), command {commands[-1]:6.2f} s, {memory(pid):7.1f} MB",
            flush=True,
        )
    node, command_ = statistics.median(nodes), statistics.median(commands)
    print(f"medians: node to node {node:.2f} s, the command {command_:.2f} s: {node / command_:.2f} times")


def memory(pid: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def scan(arguments: argparse.Namespace) -> tuple[np.ndarray, Geometry]:
    """A CT of the wanted size."""
    size = (arguments.size, arguments.size, arguments.slices)
    if arguments.ct is None:
        hu, (z, y, x) = np.full(size[::-1], -1000, np.int16), size[::-1]
        body = hu[:, y // 8 : -y // 8, x // 8 : -x // 8]
        body[:] = np.random.default_rng(0).integers(-60, 0, body.shape, np.int16)
        hu[z // 4 : z // 2, y // 4 : y // 2, x // 4 : x // 2] = 120
        return hu, Geometry(size, (360 / size[0], 360 / size[1], 2.0), (-180.0, -180.0, 0.0))
    image = sitk.ReadImage(str(arguments.ct))
    spacing = tuple(n * old / new for n, old, new in zip(image.GetSize(), image.GetSpacing(), size, strict=True))
    place = (size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), spacing, image.GetDirection(), -1000.0)
    hu = sitk.GetArrayFromImage(sitk.Resample(sitk.Cast(image, sitk.sitkInt16), *place))
    return hu, Geometry(size, spacing, image.GetOrigin(), image.GetDirection())


if __name__ == "__main__":
    main()
