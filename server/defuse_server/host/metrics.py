"""The registry of this process's metrics. Modules declare theirs in it where they measure.

Names follow Prometheus' conventions: `defuse_`, then the thing, then its unit; counters end in `_total`.
Values of labels come from fixed sets (kinds, stages, methods, reasons), never from callers: each new value is
another time series that the operator's Prometheus keeps.
"""

from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

# Each counter would come with a second series, which says when it was made.
disable_created_metrics()
REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
