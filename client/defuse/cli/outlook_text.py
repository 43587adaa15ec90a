"""The outlook of an audit's labels as text."""

from defuse.cli.figures import share
from defuse.messages import LabelingOutlook

Facts = list[tuple[str, str]]


def outlook_facts(outlook: LabelingOutlook) -> Facts:
    """Return what an audit's labels correct, now and after the next ten answers, and whether to go on."""
    if not outlook.sentence:
        return []
    labels = f"{outlook.labeled_bug_count} bugs by people"
    if outlook.proposal_count:
        labels += f", {outlook.proposal_count} by verified proposals"
    return [
        ("labels", labels),
        ("proposals", outlook.verification),
        ("accuracy once corrected", _then(outlook.accuracy, outlook.accuracy_next)),
        ("left for a second search", _then(outlook.second_search_ratio, outlook.second_search_ratio_next)),
        ("advice", outlook.sentence),
    ]


def _then(now: float, after: float) -> str:
    return f"{share(now)} expected now, {share(after)} after the next ten answers"
