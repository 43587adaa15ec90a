"""Tasks and answers as files: the client, sync and async, and the commands."""

import hashlib

import defuse
import grpc
import pytest
from defuse.messages import (
    ExportLabelTasksHeader,
    ImportLabelsResponse,
    ImportProblem,
    ImportProblemReason,
    LabelFormat,
    LabelTask,
)
from defuse.v1.label_service_pb2 import ExportLabelTasksResponse, ListLabelTasksResponse

from tests.client.cli.fake_labeling import Labeling
from tests.client.fake_server import UNAVAILABLE, Refusal

EXPORT, IMPORT = "LabelService/ExportLabelTasks", "LabelService/ImportLabels"


def exported(*pieces: bytes, config: str = "<View/>") -> list[ExportLabelTasksResponse]:
    header = ExportLabelTasksHeader(task_count=2, labeling_config=config)
    return [
        ExportLabelTasksResponse(header=header),
        *(ExportLabelTasksResponse(data=piece) for piece in pieces),
    ]


class Received:
    """What came in the streams of an import."""

    def __init__(self, server, *answers):
        self.headers, self.files = [], []
        self._answers = list(answers)
        server.on(IMPORT, self.take)

    def take(self, requests):
        first, *rest = list(requests)
        self.headers.append(first.header)
        self.files.append(b"".join(request.data for request in rest))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_an_export_is_a_file_and_its_header(client, server, tmp_path):
    server.on(EXPORT, exported(b"[1,", b"2]"))
    header = client.export_label_tasks("audits/a", tmp_path / "tasks.json")
    assert (header.task_count, header.labeling_config) == (2, "<View/>")
    assert (tmp_path / "tasks.json").read_bytes() == b"[1,2]"


@pytest.mark.parametrize(
    ("name", "options", "asked"),
    [
        ("tasks.json", {"include_closed": True}, (LabelFormat.LABEL_FORMAT_LABEL_STUDIO, "", True)),
        ("t.CSV", {"image_base_url": "https://x"}, (LabelFormat.LABEL_FORMAT_CSV, "https://x", False)),
        ("t", {"format": "label_studio"}, (LabelFormat.LABEL_FORMAT_LABEL_STUDIO, "", False)),
    ],
)
def test_the_format_is_given_or_told_by_the_name(client, server, tmp_path, name, options, asked):
    server.on(EXPORT, exported(b"[]"))
    client.export_label_tasks("audits/a", tmp_path / name, **options)
    (request,) = server.asked(EXPORT)
    assert (request.format, request.image_base_url, request.include_closed) == asked


def test_a_name_that_tells_no_format_is_refused(client, tmp_path):
    with pytest.raises(defuse.errors.ArgumentError, match=r"\.json"):
        client.export_label_tasks("audits/a", tmp_path / "tasks.xls")


def test_an_export_that_breaks_is_made_again(client, server, tmp_path):
    server.on(EXPORT, [*exported(b"half"), UNAVAILABLE], exported(b"whole"))
    client.export_label_tasks("audits/a", tmp_path / "tasks.json")
    assert (tmp_path / "tasks.json").read_bytes() == b"whole"


def test_an_export_that_is_refused_leaves_nothing(client, server, tmp_path):
    server.on(EXPORT, [*exported(b"half"), Refusal(grpc.StatusCode.NOT_FOUND)])
    with pytest.raises(defuse.NotFound):
        client.export_label_tasks("audits/a", tmp_path / "other.json")
    assert list(tmp_path.iterdir()) == []


def test_an_import_sends_the_file_and_sends_it_again_where_the_call_breaks(client, server, tmp_path):
    data = b"x" * 200_000
    (tmp_path / "answers.csv").write_bytes(data)
    received = Received(server, UNAVAILABLE, ImportLabelsResponse(imported_count=3))
    answer = client.import_labels("audits/a", tmp_path / "answers.csv", annotator="ann")
    assert answer.imported_count == 3
    assert received.files == [data, data]
    assert {(header.audit, header.format, header.annotator) for header in received.headers} == {
        ("audits/a", LabelFormat.LABEL_FORMAT_CSV, "ann")
    }


def test_the_export_command_writes_the_tasks_and_the_configuration(command, server, tmp_path):
    server.on(EXPORT, exported(b"[]"))
    out = tmp_path / "tasks.json"
    ran = command("label", "export", "audits/a", "--format", "label-studio", "-o", str(out), "--all")
    assert (ran.code, out.read_bytes()) == (0, b"[]")
    assert (tmp_path / "tasks.labeling-config.xml").read_text() == "<View/>"
    assert "2 tasks in" in ran.out


def test_the_export_command_tells_in_json_what_it_wrote(command, server, tmp_path):
    server.on(EXPORT, exported(b"a,b\n", config=""))
    ran = command("label", "export", "audits/a", "-o", str(tmp_path / "t.csv"), "--json")
    assert ran.json == [{"task_count": 2, "path": str(tmp_path / "t.csv"), "labeling_config_path": ""}]


@pytest.fixture
def import_file(command, server, tmp_path):
    """Import a file of which the server does not count one answer."""
    problem = ImportProblem(
        row=7,
        region="audits/a/regions/1",
        annotator="ann",
        reason=ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_CLOSED,
        message="the region [has] all",
    )
    Received(
        server, ImportLabelsResponse(imported_count=1, known_count=2, problem_count=5, problems=[problem])
    )
    (tmp_path / "tasks.json").write_bytes(b"[]")
    return lambda *options: command("label", "import", "audits/a", str(tmp_path / "tasks.json"), *options)


def test_the_import_command_counts_and_names_each_problem(import_file):
    ran = import_file()
    assert ran.code == 65
    assert "7: REGION_CLOSED audits/a/regions/1 ann: the region [has] all" in ran.err
    assert "and 4 more" in ran.err
    assert "1 counted, 2 counted before, 0 unanswered, 5 not counted." in ran.out


def test_the_import_command_has_the_problems_in_json(import_file):
    (document,) = import_file("--json").json
    assert document["problems"][0]["reason"] == "IMPORT_PROBLEM_REASON_REGION_CLOSED"


def test_the_pictures_of_an_export_are_written_as_its_urls_name_them(command, server, tmp_path):
    sheet = Labeling(server, 0, b"picture").sheet
    server.on(EXPORT, exported(b"[]"))
    tasks = [LabelTask(region=f"audits/a/regions/{number}", sheet=sheet) for number in range(2)]
    server.on("LabelService/ListLabelTasks", ListLabelTasksResponse(tasks=tasks))
    urls = ("--image-base-url", "https://pictures", "--pictures", str(tmp_path / "pictures"))
    assert command("label", "export", "audits/a", "-o", str(tmp_path / "tasks.json"), *urls).code == 0
    digest = hashlib.sha256(b"picture").hexdigest()
    assert (tmp_path / "pictures" / f"{digest}.png").read_bytes() == b"picture"
    assert len(server.asked("ArtifactService/Download")) == 1
