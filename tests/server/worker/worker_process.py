"""A worker as operators run it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from defuse_server.host.settings import Settings


class WorkerProcess:
    """A worker as operators run it: a process of its own."""

    def __init__(self, settings: Settings, log: Path):
        environment = {
            **os.environ,
            "DEFUSE_REDIS_URL": settings.redis_url or "",
            "DEFUSE_STORE_URL": settings.store_url,
            "DEFUSE_STATE_DIR": str(settings.state_dir),
            "DEFUSE_DEVICE": settings.device,
            "DEFUSE_THREADS": str(settings.threads),
            "DEFUSE_LEASE_S": str(settings.lease_s),
            "DEFUSE_TOKEN": "must-not-reach-the-engine",
        }
        code = (
            "import asyncio; from defuse_server.host import log; "
            "from defuse_server.host.settings import Settings; "
            "from defuse_server.worker.worker import run_worker; log.configure('info'); "
            "asyncio.run(run_worker(Settings()))"
        )
        self.log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=stream)

    @property
    def engines(self) -> list[psutil.Process]:
        """The engines that it runs now."""
        return psutil.Process(self.process.pid).children()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """Have it end in order, and wait."""
        self.process.terminate()
        assert self.process.wait(20) == 0

    def end(self) -> None:
        """Kill it, paused or not, and wait."""
        self.process.kill()
        self.process.wait(10)
