"""The folders of running jobs. None is left behind, even if a worker is killed."""

import os
import shutil
import socket
from pathlib import Path

import psutil


def worker_folder(root: Path) -> Path:
    """Make an empty folder for this process's jobs, and remove those of this host's workers that are gone.

    Workers of several hosts may share `root`.
    """
    host = socket.gethostname()
    root.mkdir(parents=True, exist_ok=True)
    for folder in root.glob(f"{host}-*"):
        owner = folder.name.removeprefix(f"{host}-")
        if not owner.isdigit():
            continue
        # In a container, every worker may have the process id of the previous one.
        if int(owner) == os.getpid() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    own = root / f"{host}-{os.getpid()}"
    own.mkdir()
    return own.resolve()
