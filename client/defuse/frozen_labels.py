"""The labels that a correction or an evaluation stands on, in words: of command line, pages, reports."""

from defuse.v1.promotion_service_pb2 import LabelingFigures


def label_set(region_count: int, digest: str) -> str:
    """Return how many regions the labels are of, and the label set; empty if there is none."""
    regions = "1 region" if region_count == 1 else f"{region_count:,} regions"
    return f"of {regions}, label set {digest[:12]}" if digest else ""


def unsettled(labeling: LabelingFigures) -> str:
    """Return what has no label because nobody has settled it; empty if all is settled.

    Such as `3 bugs wait for their split and 12 for an answer`.
    """
    splitting = labeling.splitting_count
    unanswered = labeling.unlabeled_count - splitting
    what = "bug" if labeling.bug_count else "region"
    if not splitting:
        return _waiting(unanswered, what, "an answer") if unanswered else ""
    waiting = _waiting(splitting, what, "the split" if splitting == 1 else "their split")
    return f"{waiting} and {unanswered:,} for an answer" if unanswered else waiting


def _waiting(count: int, what: str, wanted: str) -> str:
    return f"1 {what} waits for {wanted}" if count == 1 else f"{count:,} {what}s wait for {wanted}"
