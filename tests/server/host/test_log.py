"""Every line on standard error is one JSON object, whoever wrote it."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest

BEGIN = "import logging, warnings; from defuse_server.host import log; log.configure('{level}');"


def lines_of(code: str, level: str = "info") -> list[dict[str, object]]:
    ran = subprocess.run(
        [sys.executable, "-c", BEGIN.format(level=level) + code], capture_output=True, text=True, check=False
    )
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_a_line_of_a_library_has_its_level_its_logger_and_its_time():
    (line,) = lines_of("logging.getLogger('redis').warning('lost %s', 'it')")
    assert (line["event"], line["level"], line["logger"]) == ("lost it", "warning", "redis")
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize(("level", "events"), [("info", ["2"]), ("debug", ["1", "2"])])
def test_talkative_libraries_are_heard_from_warnings_up(level, events):
    code = "logging.getLogger('uvicorn.access').info('1'); logging.getLogger('uvicorn.error').warning('2')"
    assert [line["event"] for line in lines_of(code, level)] == events


def test_warnings_and_the_error_that_ends_a_process_are_lines_too():
    warned, failed = lines_of("warnings.warn('old'); raise ValueError('the end')")
    assert warned["logger"] == "py.warnings"
    assert "UserWarning: old" in str(warned["event"])
    assert (failed["event"], failed["level"]) == ("process.failed", "critical")
    assert "ValueError: the end" in str(failed["exception"])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_client_that_shakes_no_hands_writes_nothing_else(tmp_path):
    """gRPC's core would write a line of its own form."""
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x"
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*make.split(), *files], check=True, capture_output=True)
    command = [sys.executable, "-m", "defuse_server", "up", "--address", "127.0.0.1:0"]
    command += ["--web-address", "127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            host, _, port = server.stdout.readline().removeprefix("ready: ").strip().rpartition(":")
            with socket.create_connection((host, int(port))) as client:
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert client.recv(1000) == b""
        finally:
            server.terminate()
            _, stderr = server.communicate(timeout=30)
    assert server.returncode == 0
    events = [json.loads(line)["event"] for line in stderr.splitlines()]
    assert "stopping" in events
