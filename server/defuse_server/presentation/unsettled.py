"""What has no label because nobody has settled it, in words."""

from defuse.v1.promotion_service_pb2 import LabelingFigures


def unsettled(labeling: LabelingFigures) -> str:
    """Return such as `3 bugs wait for their split and 12 for an answer`; empty if all is settled."""
    splitting = labeling.splitting_count
    unanswered = labeling.unlabeled_count - splitting
    what = "bug" if labeling.bug_count else "region"
    if not splitting:
        return _waiting(unanswered, what, "an answer") if unanswered else ""
    waiting = _waiting(splitting, what, "the split" if splitting == 1 else "their split")
    return f"{waiting} and {unanswered:,} for an answer" if unanswered else waiting


def _waiting(number: int, what: str, wanted: str) -> str:
    if number == 1:
        return f"1 {what} waits for {wanted}"
    return f"{number:,} {what}s wait for {wanted}"
