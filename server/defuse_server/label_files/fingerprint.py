"""The fingerprint of a region, which changes with what annotators see."""

import hashlib

from defuse.v1.audit_service_pb2 import Region


def fingerprint(region: Region) -> str:
    """Return 64 hexadecimal digits that change with the region's name, mean, tau or picture.

    The prediction and the seed's label are left out: whoever has the file could find them by trying.
    """
    looked_at = Region(name=region.name, sheet=region.sheet, mean=region.mean, tau=region.tau)
    return hashlib.sha256(looked_at.SerializeToString(deterministic=True)).hexdigest()
