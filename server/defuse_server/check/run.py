"""Runs the checks of a process, one after the other."""

from collections.abc import AsyncIterator, Iterable

from defuse_server.check import address_checks as addresses
from defuse_server.check import files_check as files
from defuse_server.check.finding import Finding, Process, wrong
from defuse_server.check.redis_check import check_redis
from defuse_server.host.settings import Settings


async def run_checks(settings: Settings, process: Process, misspelt: Iterable[str]) -> AsyncIterator[Finding]:
    """Yield what each check finds, as it comes. `misspelt` are variables that are nearly a setting's name."""
    for variable in misspelt:
        yield wrong(
            "settings", f"{variable} is no setting and has no effect", "Correct its name, or unset it."
        )
    everything = process is Process.UP
    for finding in await check_redis(settings, embedded=everything):
        yield finding
    for finding in await files.check_store(settings):
        yield finding
    if everything or process is not Process.WORKER:
        for finding in addresses.check_tls(settings):
            yield finding
    if everything or process is Process.API:
        yield addresses.check_api_address(settings)
    if everything or process is Process.WEB:
        yield addresses.check_web_address(settings)
    yield addresses.check_metrics_address(settings)
    if everything or process is Process.WORKER:
        for finding in files.check_state_folder(settings):
            yield finding
        for finding in files.check_signing_key(settings, made=everything):
            yield finding
        # Imported here: machines that run no worker need not have its libraries.
        from defuse_server.check.engine_check import check_engine

        for finding in await check_engine(settings):
            yield finding
