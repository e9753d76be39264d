"""What a node has to do, on disk, so that a kill or a power cut loses nothing and nothing is done twice.

incoming/KEY/HASH.dcm    the slices of a series as they come; KEY and HASH are hashes of UIDs
jobs/KEY.json            what becomes of it: waiting, sending, done, failed
results/KEY/             what was made of it, whole or not there
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from Med3DCore.io.write import written_beside

WAITING, SENDING, DONE, FAILED = "waiting", "sending", "done", "failed"
_DAYS_REMEMBERED = 30


@dataclass(frozen=True)
class Job:
    """A series that is complete.

    Args:
        key: Of the series.
        state: WAITING, SENDING, DONE or FAILED.
        slices: How many it had.
        received: When its last slice came, seconds since 1970.
        changed: When its state changed last.
        attempts: How often it was begun.
        sent: Files of the results that a peer has taken, ``"TITLE file"``.
        error: Why it failed, or was not sent yet.
        not_before: When it is tried again, seconds since 1970.
        digest: Of the UIDs of its slices: the same again is the same job.
    """

    key: str
    state: str = WAITING
    slices: int = 0
    received: float = 0.0
    changed: float = 0.0
    attempts: int = 0
    sent: tuple[str, ...] = field(default=())
    error: str = ""
    not_before: float = 0.0
    digest: str = ""

    def is_over(self, received: float) -> bool:
        """Whether its slices, the last of which came at that time, need nothing any more."""
        return self.state == DONE or (self.state == FAILED and received <= self.received)


class Queue:
    """The folder of a node.

    Args:
        folder: Made, for this user alone, if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in (self.incoming, self.jobs, self.results):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)

    @property
    def incoming(self) -> Path:
        """The slices that came."""
        return self.folder / "incoming"

    @property
    def jobs(self) -> Path:
        """What becomes of series."""
        return self.folder / "jobs"

    @property
    def results(self) -> Path:
        """What was made."""
        return self.folder / "results"

    def add(self, series_uid: str, image_uid: str, data: bytes) -> str:
        """Keep a slice; once this returns it is on the disk. The same one again takes the place of the first.

        Returns:
            The key of its series.

        Raises:
            OutputError: It cannot be kept.
        """
        key = hashed(series_uid)
        folder = self.incoming / key
        folder.mkdir(exist_ok=True, mode=0o700)
        with written_beside(folder / f"{hashed(image_uid)}.dcm", ".dcm") as temporary, temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return key

    def arriving(self) -> Iterator[tuple[str, float, int]]:
        """Series that came and are no job yet, or grew since: key, when the last slice came, how many slices."""
        for folder in sorted(self.incoming.iterdir()):
            job = self.job(folder.name)
            if job is not None and job.state not in (DONE, FAILED):
                continue  # it is looked at when it ends
            files = self.slices_of(folder.name)
            if files:
                yield folder.name, max(file.stat().st_mtime for file in files), len(files)

    def complete(self, key: str, received: float) -> Job:
        """A series is complete: it waits, unless all of these slices were done before, which are then dropped.

        A part of them is what is left of a series that was sent again while the first was being done. Slices that
        failed are tried again if they came again.
        """
        files = self.slices_of(key)
        before = self.job(key)
        again = before is not None and (before.digest == _digest(files) or self._were_done(before, files))
        if before is not None and again and before.is_over(received):
            self._drop(key, files)
            return before
        shutil.rmtree(self.results / key, ignore_errors=True)
        return self.save(Job(key, slices=len(files), received=received, digest=_digest(files)))

    def slices_of(self, key: str) -> list[Path]:
        """The slices of a series that are there, whole."""
        return sorted((self.incoming / key).glob("[!.]*.dcm"))

    def job(self, key: str) -> Job | None:
        """The job of a series; None if there is none, or its file is damaged."""
        try:
            values = json.loads((self.jobs / f"{key}.json").read_text(encoding="utf-8"))
            return Job(**{**values, "sent": tuple(values["sent"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def all_jobs(self) -> list[Job]:
        """Every job, the oldest first."""
        found = (self.job(path.stem) for path in self.jobs.glob("[!.]*.json"))
        return sorted((job for job in found if job is not None), key=lambda job: job.received)

    def next_job(self) -> Job | None:
        """The oldest that can go on now: to be sent first, since that frees the disk; one that was begun often last."""
        now = time.time()
        ready = [job for job in self.all_jobs() if job.state in (WAITING, SENDING) and job.not_before <= now]
        return min(ready, key=lambda job: (job.state != SENDING, job.attempts, job.received), default=None)

    def save(self, job: Job, **changes: Any) -> Job:
        """Write a job, changed, in one step."""
        job = replace(job, changed=time.time(), **changes)
        with written_beside(self.jobs / f"{job.key}.json", ".json") as temporary:
            temporary.write_text(json.dumps(asdict(job)), encoding="utf-8")
        return job

    def finish(self, job: Job, state: str, error: str = "") -> Job:
        """A job ends: slices and results are deleted, and what it was is remembered for a month.

        If more slices came meanwhile all stay, and the series is done again when it is complete.
        """
        job = self.save(job, state=state, error=error, not_before=0.0)
        files = self.slices_of(job.key)
        if _digest(files) == job.digest:
            names = "\n".join(file.name for file in files)
            with written_beside(self.jobs / f"{job.key}.slices") as temporary:
                temporary.write_text(names, encoding="utf-8")
            self._drop(job.key, files)
        shutil.rmtree(self.results / job.key, ignore_errors=True)
        for old in self.all_jobs():
            if old.state in (DONE, FAILED) and time.time() - old.changed > _DAYS_REMEMBERED * 86400:
                (self.jobs / f"{old.key}.json").unlink(missing_ok=True)
                (self.jobs / f"{old.key}.slices").unlink(missing_ok=True)
        return job

    def _were_done(self, job: Job, files: list[Path]) -> bool:
        """Whether a job that ended well had all of these slices, and more."""
        path = self.jobs / f"{job.key}.slices"
        if job.state != DONE or not path.is_file():
            return False
        return {file.name for file in files} <= set(path.read_text(encoding="utf-8").split("\n"))

    def _drop(self, key: str, files: list[Path]) -> None:
        """Delete these slices; one that comes just now stays."""
        for file in files:
            file.unlink(missing_ok=True)
        with suppress(OSError):
            (self.incoming / key).rmdir()

    def bytes(self) -> int:
        """Of all slices that wait."""
        return sum(file.stat().st_size for file in self.incoming.rglob("*.dcm") if file.is_file())


def _digest(files: list[Path]) -> str:
    return hashlib.sha256("\n".join(file.name for file in files).encode()).hexdigest()


def hashed(uid: str) -> str:
    """A UID as a short name that tells nothing of the patient."""
    return hashlib.sha256(uid.encode()).hexdigest()[:24]
