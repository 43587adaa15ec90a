"""Figures as people read them."""

from datetime import UTC, datetime
from math import floor, log10

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from defuse.messages import Interval, PreflightFigures, VaeTraining


def when(time: Timestamp) -> str:
    """Return a moment in local time; empty if it is unset."""
    if not time.seconds:
        return ""
    moment: datetime = time.ToDatetime(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(duration: Duration) -> str:
    """Return a time span, such as `1 min 20 s`."""
    return seconds(duration.ToTimedelta().total_seconds())


def seconds(count: float) -> str:
    """Return a number of seconds, such as `1 min 20 s`."""
    whole = round(count)
    if whole < 60:
        return f"{count:.1f} s" if count < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def share(value: float) -> str:
    """Return a share in 0..1 as per cent. A ratio of two measured shares may be above 1, and counts as 1."""
    return f"{100 * min(value, 1.0):.1f}%"


def readability(figures: PreflightFigures | VaeTraining) -> str:
    """Return a readability as per cent, and the server's sentence on what it is made of, if there is one."""
    return ". ".join(filter(None, [share(figures.readability), figures.readability_summary]))


def share_of_all(value: float) -> str:
    """Return a share in 0..1 as per cent, also of what is more than nothing and less than a digit."""
    return "< 0.1%" if 0 < value < 0.0005 else share(value)


def number(value: float) -> str:
    """Return a number in four digits, never with an exponent."""
    if 0 < abs(value) < 1e-4:
        return "< 0.0001" if value > 0 else "> -0.0001"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def change(value: float) -> str:
    """Return a change of a share, -1..1, as per cent with its sign."""
    return f"{100 * value:+.1f}%"


def share_with_interval(rate: Interval) -> str:
    """Return a share and its interval, such as `58.0% (51.2% to 64.5%)`."""
    return f"{share(rate.value)} ({share(rate.lower)} to {share(rate.upper)})"


def misread_per_million(harm: Interval) -> str:
    """Return a region's harm as misread inputs per million, such as `12 per million (4 to 31)`.

    `harm` is the share of inputs like the dataset's, 0..1, that fall into the region and are misread.
    """
    value, lower, upper = (_per_million(part) for part in (harm.value, harm.lower, harm.upper))
    return f"{value} per million ({lower} to {upper})"


def _per_million(share: float) -> str:
    """Return two digits, or one below 10 and a decimal: the interval is wider than any further digit."""
    count = 1e6 * share
    if 0 < count < 0.1:
        return "< 0.1"
    if count < 10:
        return f"{round(count, 1):g}"
    return f"{round(count, 1 - floor(log10(count))):,.0f}"
