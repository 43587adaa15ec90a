"""The outlook of an audit's labels: how far they go."""

from collections.abc import Mapping, Sequence

from defuse.v1.audit_service_pb2 import Audit, Bug
from defuse.v1.label_service_pb2 import LabelingOutlook

from defuse_server.labels.labeling_rule import labeling_rule
from defuse_server.labels.proposals import label_of, number_of, proposals
from defuse_server.labels.region_label import RegionLabel


def outlook(audit: Audit, bugs: Sequence[Bug], tasks: Mapping[int, RegionLabel]) -> LabelingOutlook:
    """Return the outlook of an audit with bugs, given the states of its tasks."""
    wanted = labeling_rule(audit.config).wanted
    known = proposals(audit, bugs, tasks)
    sample = known.verification
    missing = [bug for bug in bugs if number_of(bug) in sample.missing]
    split = {bug.parent for bug in bugs}
    labels = [label_of(bug, tasks) for bug in bugs if bug.name not in split]
    return LabelingOutlook(
        labeled_bug_count=sum(label.label is not None for label in labels),
        proposal_count=len(known.in_use),
        verified=sample.verified,
        population_count=len(sample.order),
        sample_count=sample.sample,
        wrong_count=sample.wrong,
        wrong_bound=sample.bound,
        answers_to_verify=sum(wanted - label_of(bug, tasks).answers for bug in missing),
    )
