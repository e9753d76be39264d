"""``med3d dicom-node``: a service that a PACS can send to."""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import time
from collections import Counter
from pathlib import Path

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import say
from Med3DCore.cli.stopping import stopped_gently
from Med3DCore.dicom_node.queue import FAILED, Queue
from Med3DCore.dicom_node.settings import EXAMPLE, NodeSettings, read_settings
from Med3DCore.errors import SettingError
from Med3DCore.io.files import as_path
from Med3DCore.system.locks import InUse, require_free

_FAILURES_SHOWN = 10


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "dicom-node",
        help="serve a PACS: take CT series, send segmentations back",
        description="A DICOM service: takes CT series by C-STORE, segments them, sends SEG, RTSTRUCT or pictures to a "
        "peer. It listens on this computer alone unless its configuration says otherwise.",
        epilog="docs/dicom_node.md",
    )
    commands = parser.add_subparsers(
        title="commands", dest="node_command", metavar="COMMAND", required=True, help="what to do"
    )
    serving = commands.add_parser("run", help="run until Ctrl-C or SIGTERM")
    serving.add_argument("configuration", metavar="FILE", type=path, help="the node's configuration (.toml)")
    serving.set_defaults(run=_run)
    status = commands.add_parser("status", help="tell what waits, what is done, what failed and why")
    status.add_argument("configuration", metavar="FILE", type=path, help="the node's configuration (.toml)")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(run=_status)
    commands.add_parser("example", help="print a configuration to begin with").set_defaults(run=_example)


def _run(args: argparse.Namespace) -> int:
    settings = read_settings(args.configuration)
    missing = [name for name in ("pynetdicom", "highdicom") if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingError(f"The package {missing[0]} is missing; install it with pip install 'Med3DCore[node]'.")
    from Med3DCore.dicom_node.service import serve

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # it would log what identifies patients

    def started(port: int) -> None:
        say(f"{settings.ae_title} listens at {settings.host}:{port}")

    with stopped_gently() as stop:
        serve(settings, stop, started)
    return 0


def _status(args: argparse.Namespace) -> int:
    settings = read_settings(args.configuration)
    found = status_of(settings)
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    print("running" if found["running"] else "not running")
    print(", ".join(f"{count} {state}" for state, count in found["jobs"].items()) or "no series yet")
    print(f"{found['arriving']} arriving, {found['queue_mb']:.0f} MB on the disk")
    for problem in found["problems"]:
        print(f"{problem['when']} {problem['key']} {problem['state']}: {problem['error']}")
    return 0


def status_of(settings: NodeSettings) -> dict:
    """What a node has done and has to do, plain values; it need not run."""
    folder = as_path(settings.folder)
    if not folder.is_dir():
        return {"running": False, "jobs": {}, "arriving": 0, "queue_mb": 0.0, "problems": []}
    queue = Queue(folder)
    jobs = queue.all_jobs()
    problems = [job for job in jobs if job.error][-_FAILURES_SHOWN:]
    return {
        "running": _is_running(folder),
        "jobs": dict(Counter(job.state for job in jobs)),
        "arriving": sum(1 for _ in queue.arriving()),
        "queue_mb": queue.bytes() / (1 << 20),
        "problems": [
            {
                "key": job.key,
                "state": "failed" if job.state == FAILED else f"{job.state}, tried again",
                "when": time.strftime("%Y-%m-%d %H:%M", time.localtime(job.changed)),
                "error": job.error,
            }
            for job in problems
        ],
    }


def _is_running(folder: Path) -> bool:
    try:
        require_free(folder / "node.lock", "", "")
    except InUse:
        return True
    return False


def _example(args: argparse.Namespace) -> int:  # noqa: ARG001 - as all commands
    print(EXAMPLE, end="")
    return 0
