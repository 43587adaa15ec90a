"""What tells whether a region is still the one that somebody looked at."""

import hashlib

from defuse.v1.audit_service_pb2 import Region


def fingerprint(region: Region) -> str:
    """Return 64 hexadecimal digits that change with the region's name, place, width or picture.

    The prediction and the seed's label take no part: who gets the file could try out which they are.
    """
    looked_at = Region(name=region.name, sheet=region.sheet, mean=region.mean, tau=region.tau)
    return hashlib.sha256(looked_at.SerializeToString(deterministic=True)).hexdigest()
