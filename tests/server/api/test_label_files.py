"""Tasks for other tools and the answers that come back, over gRPC."""

import base64
import csv
import io
import json
from collections.abc import Callable

import grpc
import pytest
from defuse.v1.audit_service_pb2 import Audit, Region
from defuse.v1.label_service_pb2 import (
    ExportLabelTasksRequest,
    GetLabelingProgressRequest,
    GetLabelingReportRequest,
    ImportLabelsHeader,
    ImportLabelsRequest,
    ImportLabelsResponse,
    ImportProblemReason,
    LabelAnswer,
    LabelFormat,
    LeaseLabelTasksRequest,
    SubmitLabelRequest,
    UndoLabelRequest,
)
from defuse.v1.models_pb2 import ContactSheet
from defuse_server import redis_keys
from defuse_server.label_files.csv_file import COLUMNS

STUDIO, CSV = LabelFormat.LABEL_FORMAT_LABEL_STUDIO, LabelFormat.LABEL_FORMAT_CSV
UNKNOWN = f"audits/{'0' * 18}"


@pytest.fixture
def make_audit(records) -> Callable:
    """Makes an audit whose regions have pictures; predicted as class 1, seeds of class 0."""

    async def made(count: int, *, wanted: int = 1, **dataset) -> str:
        names = [
            (await records.classifier()).name,
            (await records.vae()).name,
            (await records.dataset(**dataset)).name,
        ]
        record = Audit(classifier=names[0], vae=names[1], dataset=names[2])
        audit = await records.made(record, *names)
        attempt = await records.attempt(audit.name)
        for number in range(count):
            sheet = ContactSheet(artifact=await records.artifact(b"picture %d" % number), count=16)
            region = Region(
                name=f"{audit.name}/regions/{number}", seed_label=0, predicted_class=1, tau=0.5, sheet=sheet
            )
            await records.backend.regions.publish(audit.name, region, attempt.number)
        await records.backend.labels.open(audit.name, range(count), wanted)
        await attempt.succeed(audit)
        return audit.name

    return made


@pytest.fixture
def export(stubs) -> Callable:
    async def exported(audit: str, format_: LabelFormat = STUDIO, **options):
        request = ExportLabelTasksRequest(audit=audit, format=format_, **options)
        header, *rest = [message async for message in stubs.labels.ExportLabelTasks(request)]
        assert header.WhichOneof("content") == "header"
        return header.header, b"".join(message.data for message in rest)

    return exported


@pytest.fixture
def take_back(stubs) -> Callable:
    async def taken(
        audit: str, data: bytes | str | list, format_: LabelFormat = STUDIO, piece: int = 50_000, **header
    ) -> ImportLabelsResponse:
        if isinstance(data, list):
            data = json.dumps(data)
        data = data.encode() if isinstance(data, str) else data

        async def requests():
            yield ImportLabelsRequest(header=ImportLabelsHeader(audit=audit, format=format_, **header))
            for start in range(0, len(data), piece):
                yield ImportLabelsRequest(data=data[start : start + piece])

        return await stubs.labels.ImportLabels(requests())

    return taken


def annotated(task: dict, *answers: tuple[str, object, str | None], **fields) -> dict:
    """A task as Label Studio exports it; an answer is (id, who, choice), choice None: skipped."""
    annotations = [
        {
            "id": number,
            "unique_id": identity,
            "completed_by": who,
            "was_cancelled": choice is None,
            "result": []
            if choice is None
            else [{"from_name": "label", "type": "choices", "value": {"choices": [choice]}}],
        }
        for number, (identity, who, choice) in enumerate(answers)
    ]
    return {"id": 1, "project": 1, **task, "annotations": annotations, **fields}


def reasons(answer: ImportLabelsResponse) -> list[tuple[int, str]]:
    prefix = "IMPORT_PROBLEM_REASON_"
    return [
        (problem.row, ImportProblemReason.Name(problem.reason).removeprefix(prefix))
        for problem in answer.problems
    ]


def counts(answer: ImportLabelsResponse) -> tuple[int, int, int, int]:
    return answer.imported_count, answer.known_count, answer.unanswered_count, answer.problem_count


async def labeled(stubs, audit: str) -> int:
    return (await stubs.labels.GetLabelingProgress(GetLabelingProgressRequest(audit=audit))).labeled_count


async def test_tasks_hold_their_picture_and_no_prediction(make_audit, export):
    audit = await make_audit(2)
    header, data = await export(audit)
    assert header.task_count == 2
    assert 'value="left" hotkey="0"' in header.labeling_config
    tasks = json.loads(data)
    assert [task["data"]["region"] for task in tasks] == [f"{audit}/regions/{number}" for number in range(2)]
    assert [base64.b64decode(task["data"]["image"].partition(",")[2]) for task in tasks] == [
        b"picture 0",
        b"picture 1",
    ]
    for task in tasks:
        assert set(task) == {"data"}
        assert set(task["data"]) == {"image", "region", "fingerprint", "samples"}


async def test_an_audit_without_regions_is_an_empty_list(make_audit, export):
    audit = await make_audit(0)
    header, data = await export(audit)
    assert (header.task_count, json.loads(data)) == (0, [])


async def test_pictures_by_url(make_audit, export):
    audit = await make_audit(1)
    for format_ in (STUDIO, CSV):
        _, data = await export(audit, format_, image_base_url="https://pictures.example/defuse/")
        assert b"https://pictures.example/defuse/" in data
        assert b"base64" not in data
        assert b".png" in data


async def test_the_fingerprint_tells_nothing_of_the_prediction(make_audit, export, redis):
    audit = await make_audit(1)
    _, before = await export(audit)
    body = Region.FromString(await redis.hget(redis_keys.regions(audit), "0"))
    body.predicted_class, body.seed_label = 0, 1
    await redis.hset(redis_keys.regions(audit), "0", body.SerializeToString())
    assert (await export(audit))[1] == before


async def test_only_open_regions_unless_asked(stubs, make_audit, export):
    audit = await make_audit(2)
    task = (await stubs.labels.LeaseLabelTasks(LeaseLabelTasksRequest(audit=audit, annotator="ann"))).tasks[0]
    await stubs.labels.SubmitLabel(
        SubmitLabelRequest(region=task.region, lease_token=task.lease_token, answer=LabelAnswer(label=0))
    )
    header, data = await export(audit)
    assert (header.task_count, [one["data"]["region"] for one in json.loads(data)]) == (
        1,
        [f"{audit}/regions/1"],
    )
    header, data = await export(audit, include_closed=True)
    assert (header.task_count, len(json.loads(data))) == (2, 2)


async def test_answers_come_back_and_count_once(stubs, make_audit, export, take_back):
    audit = await make_audit(4, wanted=2)
    tasks = json.loads((await export(audit))[1])
    users = ({"id": 1, "email": "ann@example.com"}, {"id": 2, "email": "bo@example.com"})
    file = [
        annotated(tasks[0], ("a", users[0], "left"), ("b", users[1], "left")),
        annotated(tasks[1], ("c", users[0], "mixed"), ("d", 2, "mixed")),
        annotated(tasks[2], ("e", users[0], "can't tell"), ("f", users[1], None)),
        annotated(tasks[3]),
    ]
    answer = await take_back(audit, file)
    assert counts(answer) == (5, 0, 1, 0)
    assert await labeled(stubs, audit) == 1
    # Cut into pieces of another size it is the same file.
    assert counts(await take_back(audit, file, piece=7)) == (0, 5, 1, 0)
    progress = await stubs.labels.GetLabelingProgress(GetLabelingProgressRequest(audit=audit))
    assert (progress.labeled_count, progress.confirmed_count, progress.mixed_count) == (1, 1, 1)


async def test_an_answer_that_was_taken_back_does_not_come_again_with_its_file(
    stubs, make_audit, export, take_back
):
    audit = await make_audit(1)
    (task,) = json.loads((await export(audit))[1])
    file = [annotated(task, ("a", {"email": "ann@example.com"}, "left"))]
    await take_back(audit, file)
    region = task["data"]["region"]
    await stubs.labels.UndoLabel(UndoLabelRequest(region=region, annotator="ann@example.com"))
    assert counts(await take_back(audit, file)) == (0, 1, 0, 0)
    assert await labeled(stubs, audit) == 0


async def test_votes_that_the_queue_does_not_take_are_reported(stubs, make_audit, export, take_back):
    audit = await make_audit(3)
    tasks = json.loads((await export(audit))[1])
    # Ann holds region 0, and nobody else can have its only place.
    lease = LeaseLabelTasksRequest(audit=audit, annotator="ann@example.com")
    (held,) = (await stubs.labels.LeaseLabelTasks(lease)).tasks
    ann, bo = {"email": "ann@example.com"}, {"email": "bo@example.com"}
    answer = await take_back(
        audit,
        [
            annotated(tasks[0], ("a", bo, "left")),
            annotated(tasks[1], ("b", ann, "left"), ("c", bo, "right"), ("d", ann, "right")),
        ],
    )
    assert answer.imported_count == 1
    assert reasons(answer) == [(1, "REGION_LEASED"), (2, "REGION_CLOSED"), (2, "ALREADY_ANSWERED")]
    assert [problem.annotator for problem in answer.problems] == [bo["email"], bo["email"], ann["email"]]
    # Ann's own place is Ann's: the vote takes it, and the lease is over.
    answer = await take_back(audit, [annotated(tasks[0], ("e", ann, "left"))])
    assert counts(answer) == (1, 0, 0, 0)
    with pytest.raises(grpc.aio.AioRpcError) as lost:
        await stubs.labels.SubmitLabel(
            SubmitLabelRequest(region=held.region, lease_token=held.lease_token, answer=LabelAnswer(label=1))
        )
    assert lost.value.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_the_report_counts_answers_of_files_and_not_their_time(stubs, make_audit, export, take_back):
    audit = await make_audit(2, wanted=2)
    tasks = json.loads((await export(audit))[1])
    ann, bo = {"email": "ann@example.com"}, {"email": "bo@example.com"}
    file = [annotated(one, (f"a{n}", ann, "left"), (f"b{n}", bo, "left")) for n, one in enumerate(tasks)]
    file[1]["annotations"][1]["result"][0]["value"]["choices"] = ["mixed"]
    await take_back(audit, file)
    report = await stubs.labels.GetLabelingReport(GetLabelingReportRequest(audit=audit))
    assert [(one.annotator, one.answer_count, one.median_answer_s) for one in report.annotators] == [
        ("ann@example.com", 2, 0),
        ("bo@example.com", 2, 0),
    ]
    assert (report.answer_count, report.overlap_count) == (4, 2)


async def test_who_answered_elsewhere_is_not_asked_again(stubs, make_audit, export, take_back):
    audit = await make_audit(2, wanted=2)
    tasks = json.loads((await export(audit))[1])
    await take_back(audit, [annotated(tasks[0], ("a", {"email": "ann@example.com"}, "left"))])
    for annotator, regions in (("ann@example.com", [1]), ("bo", [0, 1])):
        lease = LeaseLabelTasksRequest(audit=audit, annotator=annotator, max_tasks=9)
        leased = (await stubs.labels.LeaseLabelTasks(lease)).tasks
        assert [task.region for task in leased] == [f"{audit}/regions/{number}" for number in regions]


async def test_an_annotation_that_changed_is_reported_and_its_first_answer_stays(
    stubs, make_audit, export, take_back
):
    audit = await make_audit(1)
    (task,) = json.loads((await export(audit))[1])
    await take_back(audit, [annotated(task, ("a", {"email": "ann@example.com"}, "left"))])
    answer = await take_back(audit, [annotated(task, ("a", {"email": "ann@example.com"}, "right"))])
    assert reasons(answer) == [(1, "ANNOTATION_CHANGED")]
    progress = await stubs.labels.GetLabelingProgress(GetLabelingProgressRequest(audit=audit))
    assert (progress.labeled_count, progress.confirmed_count) == (1, 1)
    # Once the first one is undone, the change counts; and it alone is known from then on.
    region = task["data"]["region"]
    await stubs.labels.UndoLabel(UndoLabelRequest(region=region, annotator="ann@example.com"))
    changed = [annotated(task, ("a", {"email": "ann@example.com"}, "right"))]
    assert counts(await take_back(audit, changed)) == (1, 0, 0, 0)
    assert counts(await take_back(audit, changed)) == (0, 1, 0, 0)


async def test_regions_that_changed_and_other_audits_are_refused(make_audit, export, take_back, redis):
    audit, other = await make_audit(2), await make_audit(1)
    tasks = json.loads((await export(audit))[1])
    foreign = json.loads((await export(other))[1])
    body = Region.FromString(await redis.hget(redis_keys.regions(audit), "0"))
    body.sheet.artifact = f"artifacts/{'0' * 64}"
    await redis.hset(redis_keys.regions(audit), "0", body.SerializeToString())
    who = {"email": "ann@example.com"}
    missing = {"data": {**tasks[1]["data"], "region": f"{audit}/regions/7"}}
    odd = {"data": {**tasks[1]["data"], "region": "seven"}}
    file = [annotated(one, (str(n), who, "left")) for n, one in enumerate([*tasks, *foreign, missing, odd])]
    answer = await take_back(audit, file)
    assert answer.imported_count == 1
    assert reasons(answer) == [
        (1, "REGION_CHANGED"),
        (3, "OTHER_AUDIT"),
        (4, "REGION_UNKNOWN"),
        (5, "MALFORMED"),
    ]


async def test_tasks_that_can_not_be_read(make_audit, export, take_back):
    audit = await make_audit(1)
    (task,) = json.loads((await export(audit))[1])
    who = {"email": "ann@example.com"}
    whole = annotated(task, ("a", who, "left"))
    nobody = annotated(task, ("b", None, "left"))
    twice = annotated(task, ("c", who, "left"))
    twice["annotations"][0]["result"][0]["value"]["choices"] = ["left", "right"]
    unknown = annotated(task, ("d", who, "middle"))
    long_note = annotated(task, ("e", who, "left"))
    note = {"from_name": "note", "type": "textarea", "value": {"text": ["n" * 2001]}}
    long_note["annotations"][0]["result"].append(note)
    lone_surrogate = annotated(task, ("f", {"email": "\ud800"}, "left"))
    flat = {"image": "x", "label": "left", **task["data"]}
    anonymous = annotated(task, (None, who, "left"))
    del anonymous["annotations"][0]["id"]
    file = [{}, flat, {**whole, "data": {}}, nobody, twice, unknown, long_note, lone_surrogate, anonymous]
    answer = await take_back(audit, [*file, whole])
    assert answer.imported_count == 1
    assert reasons(answer) == [
        (row, "LABEL_UNKNOWN" if row == 6 else "MALFORMED") for row in range(1, len(file) + 1)
    ]
    assert "expected one of left, right, mixed, not a valid input, can't tell" in answer.problems[5].message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file ends within it"),
        (b"[{}", "task 2"),
        (b'[\n{},\n{"a": \n 1,}]', "task 2, from line 3"),
        (b'[{"data": "cut', "Unterminated string"),
        (b"{}", "expected a list of tasks"),
        (b"[1]", "got '1'"),
        (b"[{}{}]", "after task 1"),
        (b"[] []", "the end"),
        (b"[{}," + b'{"a":' * 100_000, "task 2"),
        (b"\xff\xfe[]", "UTF-8"),
        (b'[{"n": 1' + b"0" * 5000 + b"}]", "task 1"),
    ],
)
async def test_files_that_are_no_label_studio_export(make_audit, take_back, refused, data, says):
    audit = await make_audit(1)
    with refused() as problem:
        await take_back(audit, data)
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IMPORT_UNREADABLE")
    assert says in problem.message


async def test_nothing_of_a_broken_file_is_counted(stubs, make_audit, export, take_back, refused):
    audit = await make_audit(1)
    (task,) = json.loads((await export(audit))[1])
    whole = json.dumps([annotated(task, ("a", {"email": "ann@example.com"}, "left"))])
    with refused():
        await take_back(audit, whole[:-1] + ",{]")
    assert await labeled(stubs, audit) == 0
    assert counts(await take_back(audit, whole)) == (1, 0, 0, 0)


async def test_files_that_are_too_large(make_audit, take_back, refused):
    audit = await make_audit(1)
    header = ",".join(("region", "fingerprint", "annotator", "label")) + "\n"
    for format_, data in (
        (STUDIO, b"[" + b"{}," * 100_001 + b"{}]"),
        (STUDIO, b'[{"data": "' + b"x" * (33 * 1024 * 1024)),
        (CSV, header.encode() + b"," * (17 * 1024 * 1024)),
        (CSV, header.encode() + b"a,b,c,d\n" * 100_001),
    ):
        with refused() as problem:
            await take_back(audit, data, format_, piece=500_000)
        assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_LARGE")


async def test_many_problems_are_counted_and_the_first_are_shown(make_audit, take_back):
    audit = await make_audit(1)
    answer = await take_back(audit, b"[" + b"{}," * 2999 + b"{}]")
    assert (answer.problem_count, len(answer.problems)) == (3000, 1000)
    assert [problem.row for problem in answer.problems] == list(range(1, 1001))


def filled_in(table: bytes, *answers: tuple[str, str, str], delimiter: str = ",") -> str:
    """The exported table with (annotator, label, note) in its rows."""
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), delimiter=delimiter)
    writer.writeheader()
    for row, (annotator, label, note) in zip(rows, answers, strict=False):
        writer.writerow({**row, "annotator": annotator, "label": label, "note": note})
    return text.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_a_spreadsheet_goes_both_ways(stubs, make_audit, export, take_back, delimiter):
    audit = await make_audit(5)
    header, table = await export(audit, CSV)
    assert (header.task_count, header.labeling_config) == (5, "")
    assert table.decode("utf-8-sig").splitlines()[0] == ",".join(COLUMNS)
    text = filled_in(
        table,
        ("", "LEFT", "two\nlines"),
        ("", "1", ""),
        ("bo", "can\N{RIGHT SINGLE QUOTATION MARK}t tell", ""),
        ("bo", "", ""),
        ("bo", "Not a valid input", ""),
        delimiter=delimiter,
    )
    answer = await take_back(audit, text, CSV, annotator="ann")
    assert counts(answer) == (4, 0, 1, 0)
    assert counts(await take_back(audit, text, CSV, annotator="ann")) == (0, 4, 1, 0)
    progress = await stubs.labels.GetLabelingProgress(GetLabelingProgressRequest(audit=audit))
    assert (progress.labeled_count, progress.confirmed_count, progress.invalid_count) == (2, 1, 1)


async def test_problems_name_the_row_of_the_spreadsheet(make_audit, export, take_back):
    audit = await make_audit(3)
    _, table = await export(audit, CSV)
    text = filled_in(table, ("ann", "left", "two\nlines"), ("", "left", ""), ("ann", "2", ""))
    answer = await take_back(audit, text, CSV)
    assert counts(answer) == (1, 0, 0, 2)
    assert reasons(answer) == [(3, "MALFORMED"), (4, "LABEL_UNKNOWN")]
    assert answer.problems[0].region == f"{audit}/regions/1"


async def test_no_cell_is_a_formula(make_audit, export, take_back):
    audit = await make_audit(1, class_names=['=cmd|" /C calc"!A0', "+1"])
    _, table = await export(audit, CSV)
    (row,) = csv.DictReader(io.StringIO(table.decode("utf-8-sig")))
    assert row["choices"].startswith("'=cmd")
    # As people copy it from there.
    text = filled_in(table, ("ann", '\'=cmd|" /C calc"!A0', ""))
    assert counts(await take_back(audit, text, CSV)) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "expected the columns"),
        (b"region,label\n", "fingerprint, annotator"),
        (b"annotation_id,annotator,fingerprint,label,region\n", "export it as JSON"),
        (b'region,fingerprint,annotator,label\na,b,c,d\n"a"x,b,c,d\n', "row 3"),
        (b"region,fingerprint,annotator,label\n" + b"x" * 200_000, "field larger"),
        ("région".encode("latin-1"), "UTF-8"),
    ],
)
async def test_files_that_are_no_table(make_audit, take_back, refused, data, says):
    audit = await make_audit(1)
    with refused() as problem:
        await take_back(audit, data, CSV)
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IMPORT_UNREADABLE")
    assert says in problem.message


async def test_classes_keep_their_names_before_numbers_and_verdicts(make_audit, export, take_back, stubs):
    audit = await make_audit(3, class_names=["1", "mixed"])
    _, table = await export(audit, CSV)
    text = filled_in(table, ("ann", "1", ""), ("ann", "mixed", ""), ("ann", "mixed (no class)", ""))
    assert counts(await take_back(audit, text, CSV)) == (3, 0, 0, 0)
    # "1" is class 0, predicted was class 1; "mixed" is class 1.
    progress = await stubs.labels.GetLabelingProgress(GetLabelingProgressRequest(audit=audit))
    assert (progress.labeled_count, progress.confirmed_count, progress.mixed_count) == (2, 1, 1)


async def test_requests_that_are_wrong(stubs, make_audit, export, take_back, refused):
    audit = await make_audit(1)
    for options, field in (
        ({"audit": "x"}, "audit"),
        ({"audit": audit, "format_": 0}, "format"),
        ({"audit": audit, "format_": 9}, "format"),
        ({"audit": audit, "image_base_url": "javascript:alert(1)"}, "image_base_url"),
        ({"audit": audit, "image_base_url": "https://" + "x" * 1000}, "image_base_url"),
    ):
        with refused() as problem:
            await export(**options)
        assert (problem.code, problem.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
    for options, field in (
        ({"audit": "x"}, "header.audit"),
        ({"audit": audit, "format_": 0}, "header.format"),
        ({"audit": audit, "annotator": "a" * 101}, "header.annotator"),
    ):
        with refused() as problem:
            await take_back(data=b"[]", **options)
        assert (problem.code, problem.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
    for call in (export(UNKNOWN), take_back(UNKNOWN, b"[]")):
        with refused() as problem:
            await call
        assert problem.reason == "RESOURCE_NOT_FOUND"
    header = ImportLabelsRequest(header=ImportLabelsHeader(audit=audit, format=STUDIO))
    large = ImportLabelsRequest(data=b"x" * (1024 * 1024 + 1))
    for messages, field in (
        ([], "header"),
        ([large], "header"),
        ([header, header], "data"),
        ([header, large], "data"),
    ):
        with refused() as problem:
            await stubs.labels.ImportLabels(iter(messages))
        assert problem.fields == (field,)


async def test_imports_are_deleted_with_their_audit(make_audit, export, take_back, redis, backend):
    audit = await make_audit(1)
    (task,) = json.loads((await export(audit))[1])
    await take_back(audit, [annotated(task, ("a", {"email": "ann@example.com"}, "left"))])
    assert await redis.exists(redis_keys.label_imports(audit))
    await backend.resources.delete(audit)
    assert not await redis.exists(redis_keys.label_imports(audit))
