"""Whether the disk has room for what a process keeps there, and the words for a person when it has none.

There are two witnesses, since each can be silent: on a full disk the log that would carry a complaint cannot grow either, and a quota or a file-size limit
stops a process while the disk is half empty. A full disk is nobody's fault and passes: it is waited for, and never counted as a defect of the process.
"""

import errno
import os
import shutil
import time
from pathlib import Path

TOO_LITTLE = 4 << 20        # bytes free, below which a disk counts as full: less than one segment of either log
LINGERS = 10.0              # seconds a complaint in a log counts; who still needs room complains again sooner
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# what the system says -> what it means, and the way out
COMPLAINTS = {
    "No space left on device": ("disk full", "Make room there"),
    "Disk quota exceeded": ("disk quota used up", "Make room there or have the quota raised"),
    "File too large": ("disk full or file-size limit reached", "Make room there or raise the limit (ulimit -f)"),
}


class Room:
    """Watches over one process from now on. `log`: where it would complain; None where complaints in it are others' complaints."""

    def __init__(self, name: str, disk: Path, log: Path | None) -> None:
        self._name, self._log = name, log
        self._disk = next(folder for folder in (disk, *disk.parents) if folder.exists())      # it may be about to make its directory
        self._read_to = log.stat().st_size if log is not None and log.exists() else 0
        self._complaint, self._heard = "", -LINGERS

    def missing(self) -> str:
        """"" or, on one line: which disk is full, for whom, and what to do. Costs two system calls where nothing is wrong."""
        self._listen()
        if time.monotonic() - self._heard < LINGERS:
            return self._say(self._complaint)
        if shutil.disk_usage(self._disk).free < TOO_LITTLE:
            return self._say("No space left on device")
        return ""

    def _listen(self) -> None:
        if self._log is None or not self._log.exists():
            return
        with self._log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._read_to if self._read_to <= size else 0, size - (1 << 16)))      # shorter than it was: it was put aside
            said = file.read().decode(errors="replace")
        self._read_to = size
        for complaint in COMPLAINTS:
            if complaint in said:
                self._complaint, self._heard = complaint, time.monotonic()

    def _say(self, complaint: str) -> str:
        return no_room(self._name, self._disk, complaint)


def no_room(name: str, disk: Path, complaint: str) -> str:
    """One line for a person."""
    what, way_out = COMPLAINTS[complaint]
    free = shutil.disk_usage(disk).free >> 20
    return f"{what}: {name} cannot write in {disk} ({complaint}; {free:,} MB free). {way_out}: it goes on by itself, nothing acknowledged is lost"


def is_full(error: OSError) -> bool:
    """Whether this error says that a disk takes no more."""
    return error.errno in FULL
