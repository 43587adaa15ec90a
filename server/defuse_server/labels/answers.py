"""An annotator's answer as the vote that the scripts count."""

from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict

from defuse_server.errors import InvalidRequest, LabelUnknown

_VERDICTS = {
    LabelVerdict.LABEL_VERDICT_MIXED: "mixed",
    LabelVerdict.LABEL_VERDICT_INVALID: "invalid",
    LabelVerdict.LABEL_VERDICT_CANNOT_TELL: "cannot_tell",
}


def vote_of(answer: LabelAnswer, class_count: int) -> str:
    """Return the vote: a class as decimal number, `mixed`, `invalid` or `cannot_tell`.

    Raises InvalidRequest where the answer is empty, LabelUnknown where the label is none of 0..class_count-1.
    """
    if answer.WhichOneof("answer") == "label":
        if not 0 <= answer.label < class_count:
            raise LabelUnknown(
                f"expected a label in 0..{class_count - 1}, got {answer.label}",
                figures={"label": str(answer.label), "class_count": str(class_count)},
            )
        return str(answer.label)
    if answer.verdict not in _VERDICTS:
        raise InvalidRequest(
            [("answer", "expected a label, or one of the verdicts MIXED, INVALID, CANNOT_TELL")]
        )
    return _VERDICTS[answer.verdict]
