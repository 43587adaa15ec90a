"""The list of audits, and one audit with its figures, regions, map, corrections and verdict."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, cast

from defuse.v1.audit_service_pb2 import Audit, Bug, Region
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.label_service_pb2 import LabelingReport
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation, LabelingFigures
from defuse.v1.registry_service_pb2 import Classifier, Dataset
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from defuse_server.backend import Backend
from defuse_server.labels.labeling_figures import labeling_figures
from defuse_server.names import bug_name, region_name
from defuse_server.presentation import checks
from defuse_server.presentation.formatting import class_name
from defuse_server.presentation.lambda_curve import curves
from defuse_server.web.audits.cards import cards, is_unfinished, job_badge
from defuse_server.web.audits.latent_map import REGIONS_SHOWN, LatentMap, latent_map
from defuse_server.web.audits.remarks import remarks
from defuse_server.web.labeling.pages import audit_name
from defuse_server.web.pictures import sheet_answer
from defuse_server.web.rendering import page

_AUDITS_A_PAGE: Final = 25
_CARDS_A_PAGE: Final = 24
_MAPS_KEPT: Final = 32


class AuditPages:
    """Pages about audits. They show what the classifier predicts, and change nothing."""

    def __init__(self, backend: Backend) -> None:
        self._resources = backend.resources
        self._regions = backend.regions
        self._bugs = backend.bugs
        self._labeling = backend.labeling
        self._store = backend.store
        self._maps: dict[tuple[str, int, int], LatentMap | None] = {}

    async def list(self, request: Request) -> Response:
        """Show the audits, newest first."""
        return await self._listed(request, "audits.html")

    async def rows(self, request: Request) -> Response:
        """Show only the list, for a page that refreshes it."""
        return await self._listed(request, "audit_rows.html")

    async def show(self, request: Request) -> Response:
        """Show one audit with everything that came of it."""
        audit = await self._audit(request)
        dataset = cast("Dataset", await self._resources.get(audit.dataset))
        classifier = await self._resources.find(Classifier, audit.classifier)
        corrections = await self._resources.referring(audit.name, Correction)
        evaluations = await self._resources.referring(audit.name, Evaluation)
        names = list(dataset.class_names)
        report = await self._labeling.report(audit.name)
        return page(
            "audit.html",
            audit=audit,
            dataset=dataset,
            classifier=classifier,
            unfinished=is_unfinished(audit),
            badge=job_badge(audit.state),
            report=report,
            labeling=await self._labeling_figures(audit.name, report),
            remarks=remarks(await self._labeling.tasks(audit.name), names),
            map=await self._map(audit),
            name_of=partial(class_name, names),
            corrections=[(one, job_badge(one.state), curves(one)) for one in corrections],
            evaluations=[(one, _verdict(one), job_badge(one.state)) for one in evaluations],
            **_checks(evaluations, names),
            **await self._cards(audit.name, names, evaluations, ""),
        )

    async def live(self, request: Request) -> Response:
        """Show how far an audit is. Once it has ended, the page loads again."""
        audit = await self._audit(request)
        unfinished = is_unfinished(audit)
        answer = page("audit_live.html", audit=audit, unfinished=unfinished, badge=job_badge(audit.state))
        if not unfinished:
            answer.headers["HX-Refresh"] = "true"
        return answer

    async def more(self, request: Request) -> Response:
        """Show the next page of bugs, or of regions if the audit has no bugs."""
        audit = await self._audit(request)
        dataset = cast("Dataset", await self._resources.get(audit.dataset))
        evaluations = await self._resources.referring(audit.name, Evaluation)
        token = request.query_params.get("page", "")
        return page(
            "audit_cards.html",
            audit=audit,
            **await self._cards(audit.name, list(dataset.class_names), evaluations, token),
        )

    async def sheet(self, request: Request) -> Response:
        """Show the picture of a region's samples."""
        region = await self._regions.get(region_name(audit_name(request), request.path_params["number"]))
        return await sheet_answer(self._store, region.sheet)

    async def bug_sheet(self, request: Request) -> Response:
        """Show the picture of a bug's samples."""
        bug = await self._bugs.get(bug_name(audit_name(request), request.path_params["number"]))
        return await sheet_answer(self._store, bug.sheet)

    async def _labeling_figures(self, audit: str, report: LabelingReport) -> LabelingFigures:
        """Return how far the labels of the bugs are, or those of the regions if the audit has no bugs."""
        bugs = await self._bugs.all(audit)
        return labeling_figures([] if bugs else await self._regions.all(audit), bugs, report)

    async def _listed(self, request: Request, template: str) -> Response:
        token = request.query_params.get("page", "")
        audits, older = await self._resources.list(Audit, _AUDITS_A_PAGE, token)
        rows = [(audit, job_badge(audit.state), is_unfinished(audit)) for audit in audits]
        return page(template, rows=rows, page=token, older=older, live=any(row[2] for row in rows))

    async def _audit(self, request: Request) -> Audit:
        return cast("Audit", await self._resources.get(audit_name(request)))

    async def _cards(
        self, audit: str, class_names: Sequence[str], evaluations: Sequence[Evaluation], token: str
    ) -> dict[str, Any]:
        findings = self._bugs if await self._bugs.count(audit) else self._regions
        found, older = await findings.list(audit, _CARDS_A_PAGE, token)
        proposed = (await self._labeling.proposals(audit)).in_use
        done = (one for one in evaluations if one.state == JobState.JOB_STATE_SUCCEEDED)
        return {
            "cards": cards(
                found, class_names, next(done, None), _ranks(await self._labeling.bugs(audit)), proposed
            ),
            "more": older,
            "kind": "bug" if findings is self._bugs else "region",
        }

    async def _map(self, audit: Audit) -> LatentMap | None:
        """Return the map. Regions never move, so it is computed once for each number of regions and bugs."""
        key = (audit.name, audit.region_count, await self._bugs.count(audit.name))
        if key not in self._maps:
            regions: Sequence[Region] = await self._regions.range(audit.name, 0, REGIONS_SHOWN)
            while len(self._maps) >= _MAPS_KEPT:
                del self._maps[next(iter(self._maps))]
            self._maps[key] = await run_in_threadpool(latent_map, regions)
        return self._maps[key]


def _checks(evaluations: Sequence[Evaluation], class_names: Sequence[str]) -> dict[str, Any]:
    """Return the newest evaluation's checks: those that do not pass, and those that do."""
    newest = evaluations[0] if evaluations else Evaluation()
    return {
        "not_passing": checks.not_passing(newest, class_names),
        "folded": checks.folded(newest, class_names),
        "passing": checks.passing(newest, class_names),
    }


def _ranks(bugs: Sequence[Bug]) -> dict[str, int]:
    """Return the ranks of bugs by misread inputs, from 1. The parts of what was split stand for it."""
    split = {bug.parent for bug in bugs}
    last = sorted((bug for bug in bugs if bug.name not in split), key=lambda bug: -bug.harm.value)
    return {bug.name: rank for rank, bug in enumerate(last, start=1)}


def _verdict(evaluation: Evaluation) -> str:
    """Return PASS, FAIL or INCONCLUSIVE, or an empty text before the decision."""
    if evaluation.state != JobState.JOB_STATE_SUCCEEDED:
        return ""
    return checks.verdict_word(evaluation.verdict)
