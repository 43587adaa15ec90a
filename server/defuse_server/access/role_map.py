"""Which names, that others give to a caller, give which roles."""

from collections.abc import Mapping

from defuse_server.access.roles import Role
from defuse_server.host.listen import UnsafeListen


def role_map(text: str, setting: str) -> Mapping[str, frozenset[Role]]:
    """Return the roles of each name in `name=role,name=role`. A name may come several times.

    `setting` is where the text comes from. Raises `UnsafeListen`.
    """
    roles: dict[str, frozenset[Role]] = {}
    for pair in filter(None, text.split(",")):
        name, equals, role = (part.strip() for part in pair.rpartition("="))
        if not equals or not name or role not in set(Role):
            raise UnsafeListen(
                f"{setting}: expected NAME=ROLE,NAME=ROLE with roles of {', '.join(Role)}; "
                f"got {pair.strip()!r}"
            )
        roles[name] = roles.get(name, frozenset()) | {Role(role)}
    return roles
