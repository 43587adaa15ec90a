"""The rule by which an audit's answers become labels, with the defaults of `LabelingConfig`."""

from dataclasses import dataclass
from typing import Final

from defuse.settings import default_of, field_of
from defuse.v1.audit_service_pb2 import AuditConfig, ConsensusMethod

ANNOTATORS: Final[int] = default_of(field_of(AuditConfig, "annotators_per_region"))
"""Annotators per region by default."""
MORE_ANNOTATORS: Final = 2
"""If they don't agree, this many more are asked."""


@dataclass(frozen=True)
class LabelingRule:
    """An audit's rule, as the label scripts need it."""

    method: ConsensusMethod
    wanted: int
    limit: int
    gold_rate: float

    @property
    def method_name(self) -> str:
        """The name of the method in the scripts."""
        return ConsensusMethod.Name(self.method).removeprefix("CONSENSUS_METHOD_").lower()


def labeling_rule(config: AuditConfig, wanted: int = 0) -> LabelingRule:
    """Return the rule of an audit. `wanted` replaces the config's number of annotators."""
    labeling = config.labeling
    wanted = wanted or config.annotators_per_region or ANNOTATORS
    return LabelingRule(
        method=labeling.method or ConsensusMethod.CONSENSUS_METHOD_MAJORITY,
        wanted=wanted,
        limit=max(wanted, labeling.max_annotators_per_region or wanted + MORE_ANNOTATORS),
        gold_rate=labeling.gold_rate,
    )


def fill_in(config: AuditConfig) -> None:
    """Set the defaults in fields that are unset."""
    rule = labeling_rule(config)
    config.annotators_per_region = rule.wanted
    config.labeling.method = rule.method
    config.labeling.max_annotators_per_region = rule.limit
    config.labeling.gold_rate = rule.gold_rate
