"""Folders of jobs under way, so that none is left behind: not even by a worker that was killed."""

import os
import shutil
import socket
from pathlib import Path

import psutil


def worker_folder(root: Path) -> Path:
    """An empty folder for this process's jobs; removes those of this host's workers that are gone.

    `root` may be shared by workers of several hosts.
    """
    host = socket.gethostname()
    root.mkdir(parents=True, exist_ok=True)
    for folder in root.glob(f"{host}-*"):
        owner = folder.name.removeprefix(f"{host}-")
        if not owner.isdigit():
            continue
        # In a container every worker may have the number of the one before it.
        if int(owner) == os.getpid() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    own = root / f"{host}-{os.getpid()}"
    own.mkdir()
    return own.resolve()
