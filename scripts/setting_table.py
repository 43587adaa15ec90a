"""Writes the engine's table of settings, defuse_engine/setting_table.py, from the contract."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from defuse.settings import enum_names, is_whole, setting_of
from defuse.v1.audit_service_pb2 import AuditConfig
from defuse.v1.correction_service_pb2 import CorrectionConfig
from defuse.v1.registry_service_pb2 import VaeTrainingConfig

NOT_OF_THE_ENGINE = {"preset", "seed", "device", "annotators_per_region", "labeling"}
"""What a job.json says outside of its config, and what only the service reads."""
HEAD = '''"""The settings that the contract declares. Written by `make proto` from proto/."""

from __future__ import annotations

from typing import Final

from defuse_engine.setting import Setting

SETTINGS: Final = {
'''


def arguments(field: Any) -> Iterator[str]:
    """Yield the arguments of a field's Setting."""
    declared = setting_of(field)
    kind = int if is_whole(field) else float

    def python(values: Any) -> str:
        if field.enum_type:
            return repr(tuple(enum_names(field.enum_type)[value] for value in values)).replace("'", '"')
        return repr(tuple(map(kind, values)) if declared.most_values else kind(*values))

    yield python(declared.default)
    if low := declared.WhichOneof("lower_end"):
        yield f"least={-1 if declared.or_never else kind(getattr(declared, low))!r}"
    if declared.HasField("most"):
        yield f"most={kind(declared.most):_}"
    if declared.HasField("above"):
        yield "above=True"
    if declared.most_values:
        yield f"most_values={declared.most_values}"
    if declared.paper_default:
        yield f"paper={python(declared.paper_default)}"
    if declared.fixed_by_paper:
        yield "fixed=True"


def main(target: Path) -> None:
    """Write the table."""
    lines = [
        f'    "{config.DESCRIPTOR.name}.{field.name}": Setting({", ".join(arguments(field))}),\n'
        for config in (AuditConfig, CorrectionConfig, VaeTrainingConfig)
        for field in config.DESCRIPTOR.fields
        if field.name not in NOT_OF_THE_ENGINE
    ]
    target.write_text(HEAD + "".join(lines) + "}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
