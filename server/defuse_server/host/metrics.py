"""The registry of this process's metrics. Modules declare theirs in it where they measure.

Names follow Prometheus' conventions: `defuse_`, then the thing, then its unit; counters end in `_total`.
Values of labels come from fixed sets (kinds, stages, methods, reasons), never from callers: each new value is
another time series that the operator's Prometheus keeps.
"""

from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
