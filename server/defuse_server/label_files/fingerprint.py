"""The fingerprint of a bug or region, which changes with what annotators see."""

import hashlib

from defuse.v1.audit_service_pb2 import Bug, Region


def fingerprint(shown: Region | Bug) -> str:
    """Return 64 hexadecimal digits that change with the name and the picture.

    They also change with the place of a region, and with the cells that the picture of a bug shows. The
    prediction and the seed's label are left out: whoever has the file could find them by trying.
    """
    if isinstance(shown, Bug):
        looked_at = Bug(name=shown.name, sheet=shown.sheet, shown_cells=shown.shown_cells)
    else:
        looked_at = Region(name=shown.name, sheet=shown.sheet, mean=shown.mean, tau=shown.tau)
    return hashlib.sha256(looked_at.SerializeToString(deterministic=True)).hexdigest()
