"""What all commands have in common: help, the version, completion, choices in any case, and Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import threading
from importlib.metadata import version

import pytest
import typer
from defuse.cli.app import app
from defuse.messages import Artifact, Classifier, Layout
from defuse.v1.registry_service_pb2 import ListClassifiersResponse


def options(command, path=()):
    """All options of a command and of those below it."""
    for name, below in getattr(command, "commands", {}).items():
        yield from options(below, (*path, name))
    for one in command.params:
        if one.param_type_name == "option":
            yield pytest.param(one, id=" ".join([*path, one.opts[0]]))


EVERY = list(options(typer.main.get_command(app)))


@pytest.mark.parametrize("option", EVERY)
def test_every_option_says_what_it_does_its_default_and_its_unit(option):
    assert option.help
    if not option.is_flag and not option.required:
        shown = option.show_default and option.default not in (None, "", [], ())
        assert shown or re.search(r"[Dd]efault", option.help)
    if option.name.endswith("_s"):
        assert re.search(r"\b[Ss]econds\b|\d s\b", option.help)


@pytest.mark.parametrize(
    "arguments",
    [
        ("push", "classifier", "FILE", "--layout", "NHWC", "--output-kind", "Probabilities"),
        ("push", "vae", "FILE", "--layout", "Flat", "--spread-kind", "SIGMA"),
        ("push", "dataset", "FILE", "--layout", "NHWC"),
        ("audit", "start", "--classifier=c", "--vae=v", "--dataset=d", "--preset", "PAPER"),
        ("audit", "list", "--state", "RUNNING"),
        ("list", "Audits", "--state", "RUNNING"),
        ("correct", "audits/a", "--proposals", "Off"),
        ("gate", "--baseline=b", "--candidate=classifiers/c", "--labels", "FROZEN"),
        ("label", "export", "audits/a", "-o", "FILE", "--format", "CSV"),
    ],
    ids=" ".join,
)
def test_choices_are_taken_in_any_case(command, tmp_path, arguments):
    """The fake server knows no answer: a command that comes so far has taken its arguments."""
    file = tmp_path / "file"
    file.write_bytes(b"bytes")
    ran = command(*(str(file) if one == "FILE" else one for one in arguments))
    assert (ran.code, "UNIMPLEMENTED" in ran.err) == (70, True)


def test_a_layout_in_upper_case_reaches_the_server(command, server, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(b"bytes")
    server.on("ArtifactService/GetArtifact", lambda request: Artifact(name=request.name))
    server.on("RegistryService/RegisterClassifier", Classifier(name="classifiers/c", state=2))
    assert command("push", "classifier", str(model), "--layout", "NHWC").code == 0
    (request,) = server.asked("RegistryService/RegisterClassifier")
    assert request.preprocessing.layout == Layout.LAYOUT_NHWC


def test_the_version_needs_no_server(command):
    ran = command("--address", "127.0.0.1:1", "--version")
    assert (ran.code, ran.out) == (0, f"defuse {version('defuse-audit')}\n")


def test_a_shell_completes_commands_and_options(start_process):
    def completed(words):
        asked = {
            "_DEFUSE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        process = start_process(env=os.environ | asked, stdout=subprocess.PIPE)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return out.split()

    assert completed("defuse li") == ["list"]
    assert completed("defuse push classifier --la") == ["--layout"]


def test_ctrl_c_exits_with_130_whatever_runs(start_process, server):
    asked, ends = threading.Event(), threading.Event()

    def silent(request):
        asked.set()
        ends.wait(60)
        return ListClassifiersResponse()

    server.on("RegistryService/ListClassifiers", silent)
    process = start_process("list", "classifiers", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert asked.wait(60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    ends.set()
    assert process.returncode == 130
    assert "Traceback" not in err


def test_ctrl_c_before_a_command_exits_with_130_too():
    interrupted = (
        "import builtins, signal\n"
        "real = builtins.__import__\n"
        "def stop(name, *rest):\n"
        "    if name == 'typer': signal.raise_signal(signal.SIGINT)\n"
        "    return real(name, *rest)\n"
        "from defuse.cli import main\n"
        "builtins.__import__ = stop\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (130, "")
