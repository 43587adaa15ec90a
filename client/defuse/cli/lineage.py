"""What a resource was made of, and what it went into, as trees."""

from collections.abc import Callable, Iterable
from typing import Any

from rich.text import Text
from rich.tree import Tree

from defuse.cli.kinds import KINDS, Resource, found_kind, verdict
from defuse.cli.output import print_lines
from defuse.client import Client
from defuse.errors import NotFound
from defuse.messages import Classifier, Evaluation

Node = dict[str, Any]
"""`name`, `state`, `display_name`, and the nodes below under `made_of` or `went_into`.

A resource's second node has only its name: the first one has the rest."""


def lineage(client: Client, name: str) -> Node:
    """Return the resource with the trees `made_of` and `went_into`. Raises `NotFound`, `ArgumentError`."""
    top = found_kind(name).get(client, name)
    reader, users = _Reader(client), _users(client)
    above = _tree("made_of", reader.made_of(top), reader.made_of)
    below = _tree("went_into", users.get(name, []), lambda one: users.get(one.name, []))
    return {**_told(top), "made_of": above, "went_into": below}


def write_lineage(top: Node) -> None:
    """Draw both trees."""
    drawn = Tree(_line(top))
    for field, title in (("made_of", "made of"), ("went_into", "went into")):
        branch = drawn.add(Text(f"{title}{'' if top[field] else ' nothing'}"))
        _draw(branch, top[field], field)
    print_lines(drawn)


class _Reader:
    """Reads resources that may be gone."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, name: str) -> Resource | str:
        """Return a resource, or its name if it was deleted."""
        try:
            return found_kind(name).get(self._client, name)
        except NotFound:
            return name

    def made_of(self, resource: Resource) -> list[Resource | str]:
        """Return what a resource was made of."""
        found = [self.get(one) for one in _made_of(resource)]
        if isinstance(resource, Classifier) and isinstance(next(iter(found), None), str):
            found.append(self.get(resource.lineage.audit))
        return found


def _made_of(resource: Resource) -> list[str]:
    # A correction leads to its audit, and this to the classifier before: they need no lines of their own,
    # unless the correction was deleted.
    if isinstance(resource, Classifier):
        return list(filter(None, [resource.lineage.correction]))
    return list(filter(None, found_kind(resource.name).references(resource)))


def _users(client: Client) -> dict[str, list[Resource]]:
    """Return by name what each resource went into, the oldest first."""
    held: dict[str, Resource] = {}
    for found in KINDS.values():
        listed = client.iterate_flow(found.kind.list_all(timeout_s=client.timeout_s))
        held.update((one.name, one) for one in reversed(list(listed)))
    users: dict[str, list[Resource]] = {}
    for resource in held.values():
        for name in _made_of(resource):
            if isinstance(resource, Classifier) and name not in held:
                name = resource.lineage.audit
            users.setdefault(name, []).append(resource)
    return users


def _tree(
    field: str, tops: Iterable[Resource | str], next_of: Callable[[Resource], Iterable[Resource | str]]
) -> list[Node]:
    """Return the nodes of `tops`, each with those below it, the first time that it comes."""
    seen: set[str] = set()

    def node(one: Resource | str) -> Node:
        if isinstance(one, str):
            return {"name": one, "state": "DELETED"}
        if one.name in seen:
            return {"name": one.name}
        seen.add(one.name)
        return {**_told(one), field: [node(below) for below in next_of(one)]}

    return [node(one) for one in tops]


def _told(resource: Resource) -> Node:
    told = {
        "name": resource.name,
        "state": found_kind(resource.name).state(resource),
        "display_name": resource.display_name,
    }
    return {**told, "verdict": verdict(resource)} if isinstance(resource, Evaluation) else told


def _draw(branch: Tree, nodes: Iterable[Node], field: str) -> None:
    for node in nodes:
        _draw(branch.add(_line(node)), node.get(field, []), field)


def _line(node: Node) -> Text:
    parts = [node["name"], node.get("state", "(above)"), node.get("verdict"), node.get("display_name")]
    return Text("  ".join(filter(None, parts)))
