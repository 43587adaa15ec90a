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


def test_an_export_is_a_file_with_the_formats_of_its_name(client, server, tmp_path):
    server.on(EXPORT, exported(b"[1,", b"2]"))
    header = client.export_label_tasks("audits/a", tmp_path / "tasks.json", include_closed=True)
    assert (header.task_count, header.labeling_config) == (2, "<View/>")
    assert (tmp_path / "tasks.json").read_bytes() == b"[1,2]"
    client.export_label_tasks("audits/a", tmp_path / "t.CSV", image_base_url="https://x")
    client.export_label_tasks("audits/a", tmp_path / "t", format="label_studio")
    with pytest.raises(defuse.errors.ArgumentError, match=r"\.json"):
        client.export_label_tasks("audits/a", tmp_path / "tasks.xls")
    asked = server.asked(EXPORT)
    assert [request.format for request in asked] == [
        LabelFormat.LABEL_FORMAT_LABEL_STUDIO,
        LabelFormat.LABEL_FORMAT_CSV,
        LabelFormat.LABEL_FORMAT_LABEL_STUDIO,
    ]
    assert [request.include_closed for request in asked] == [True, False, False]
    assert [request.image_base_url for request in asked] == ["", "https://x", ""]


def test_an_export_that_breaks_is_made_again_and_one_that_is_refused_leaves_nothing(
    client, server, tmp_path, refusal, unavailable
):
    server.on(EXPORT, [*exported(b"half"), unavailable], exported(b"whole"))
    client.export_label_tasks("audits/a", tmp_path / "tasks.json")
    assert (tmp_path / "tasks.json").read_bytes() == b"whole"
    server.on(EXPORT, [*exported(b"half"), refusal(grpc.StatusCode.NOT_FOUND)])
    with pytest.raises(defuse.NotFound):
        client.export_label_tasks("audits/a", tmp_path / "other.json")
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.json"]


def test_an_import_sends_the_file_and_sends_it_again_where_the_call_breaks(
    client, server, tmp_path, unavailable
):
    data = b"x" * 200_000
    (tmp_path / "answers.csv").write_bytes(data)
    received = Received(server, unavailable, ImportLabelsResponse(imported_count=3))
    answer = client.import_labels("audits/a", tmp_path / "answers.csv", annotator="ann")
    assert answer.imported_count == 3
    assert received.files == [data, data]
    assert {(header.audit, header.format, header.annotator) for header in received.headers} == {
        ("audits/a", LabelFormat.LABEL_FORMAT_CSV, "ann")
    }


def test_the_commands_write_the_configuration_and_name_each_problem(command, server, tmp_path):
    server.on(EXPORT, exported(b"[]"))
    out = tmp_path / "tasks.json"
    ran = command("label", "export", "audits/a", "--format", "label-studio", "-o", str(out), "--all")
    assert (ran.code, out.read_bytes()) == (0, b"[]")
    assert (tmp_path / "tasks.labeling-config.xml").read_text() == "<View/>"
    assert "2 tasks in" in ran.out
    server.on(EXPORT, exported(b"a,b\n", config=""))
    ran = command("label", "export", "audits/a", "-o", str(tmp_path / "t.csv"), "--json")
    assert ran.json == [{"task_count": 2, "path": str(tmp_path / "t.csv"), "labeling_config_path": ""}]

    problem = ImportProblem(
        row=7,
        region="audits/a/regions/1",
        annotator="ann",
        reason=ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_CLOSED,
        message="the region [has] all",
    )
    answer = ImportLabelsResponse(imported_count=1, known_count=2, problem_count=5, problems=[problem])
    Received(server, answer, answer)
    ran = command("label", "import", "audits/a", str(out))
    assert ran.code == 0
    assert "7: REGION_CLOSED audits/a/regions/1 ann: the region [has] all" in ran.err
    assert "and 4 more" in ran.err
    assert "1 counted, 2 known from before, 0 unanswered, 5 not counted." in ran.out
    (document,) = command("label", "import", "audits/a", str(out), "--json").json
    assert document["problems"][0]["reason"] == "IMPORT_PROBLEM_REASON_REGION_CLOSED"


def test_the_pictures_of_an_export_are_written_as_its_urls_name_them(command, server, labeling, tmp_path):
    sheet = labeling(server, 0, b"picture").sheet
    server.on(EXPORT, exported(b"[]"))
    tasks = [LabelTask(region=f"audits/a/regions/{number}", sheet=sheet) for number in range(2)]
    server.on("LabelService/ListLabelTasks", ListLabelTasksResponse(tasks=tasks))
    urls = ("--image-base-url", "https://pictures", "--pictures", str(tmp_path / "pictures"))
    assert command("label", "export", "audits/a", "-o", str(tmp_path / "tasks.json"), *urls).code == 0
    digest = hashlib.sha256(b"picture").hexdigest()
    assert (tmp_path / "pictures" / f"{digest}.png").read_bytes() == b"picture"
    assert len(server.asked("ArtifactService/Download")) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("label",),
        ("label", "export", "audits/a"),
        ("label", "export", "audits/a", "-o", "tasks.xls"),
        ("label", "export", "audits/a", "-o", "tasks.json", "--format", "xls"),
        ("label", "import", "audits/a"),
        ("label", "import", "audits/a", "/there/is/none.json"),
        ("label", "audits/a", "--nonsense"),
        ("label", "audits/a", "import"),
    ],
    ids=" ".join,
)
def test_wrong_usage(command, arguments):
    ran = command(*arguments)
    assert ran.code == 64
    assert "--help` shows what it takes" in ran.err or "expected a file named" in ran.err


def test_help_shows_all_that_label_can_do(command):
    ran = command("label", "--help")
    assert ran.code == 0
    for word in ("annotate", "export", "import"):
        assert word in ran.out
