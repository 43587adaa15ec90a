"""How an audit's answers become labels, with every default of its `LabelingConfig`."""

from dataclasses import dataclass
from typing import Final

from defuse.settings import default_of, field_of
from defuse.v1.audit_service_pb2 import AuditConfig, ConsensusMethod

ANNOTATORS: Final[int] = default_of(field_of(AuditConfig, "annotators_per_region"))
"""Annotators that a region wants, where an audit does not say."""
MORE_ANNOTATORS: Final = 2
"""So many more are asked where they don't agree."""


@dataclass(frozen=True)
class LabelingRule:
    """What the label scripts are told of an audit."""

    method: ConsensusMethod
    wanted: int
    limit: int
    gold_rate: float

    @property
    def method_name(self) -> str:
        """As the scripts name it."""
        return ConsensusMethod.Name(self.method).removeprefix("CONSENSUS_METHOD_").lower()


def labeling_rule(config: AuditConfig, wanted: int = 0) -> LabelingRule:
    """Return the rule of an audit; `wanted` annotators where given, else as many as the config says."""
    labeling = config.labeling
    wanted = wanted or config.annotators_per_region or ANNOTATORS
    return LabelingRule(
        method=labeling.method or ConsensusMethod.CONSENSUS_METHOD_MAJORITY,
        wanted=wanted,
        limit=max(wanted, labeling.max_annotators_per_region or wanted + MORE_ANNOTATORS),
        gold_rate=labeling.gold_rate,
    )


def fill_in(config: AuditConfig) -> None:
    """Set what is left to defaults."""
    rule = labeling_rule(config)
    config.annotators_per_region = rule.wanted
    config.labeling.method = rule.method
    config.labeling.max_annotators_per_region = rule.limit
    config.labeling.gold_rate = rule.gold_rate
