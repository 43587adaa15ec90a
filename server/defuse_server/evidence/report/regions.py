"""The regions of the report: cards with pictures for the first ones, table rows for the rest."""

from base64 import b64encode

from defuse.v1.audit_service_pb2 import Region
from defuse.v1.promotion_service_pb2 import RegionAccuracy

from defuse_server.evidence.materials import Materials
from defuse_server.names import region_number
from defuse_server.presentation.formatting import class_name
from defuse_server.presentation.region_card import Badge, Card


def cards(materials: Materials) -> tuple[list[Card], list[Card]]:
    """Return the regions with a picture and those without, each with the most misread inputs first.

    The labels are the frozen ones that the evaluation used, even if people have answered since.
    """
    measured = {entry.region: entry for entry in materials.evaluation.regions}
    total = sum(region.harm.value for region in materials.regions) or 1.0
    made = [
        _card(materials, region, measured.get(region.name), rank, region.harm.value / total)
        for rank, region in enumerate(materials.regions, start=1)
    ]
    return [card for card in made if card.picture], [card for card in made if not card.picture]


def _card(
    materials: Materials, region: Region, measured: RegionAccuracy | None, rank: int, share: float
) -> Card:
    names = materials.dataset.class_names
    return Card(
        kind="region",
        number=region_number(region.name),
        region=region,
        badge=_badge(measured),
        label=class_name(names, measured.label) if measured else "",
        seed=class_name(names, region.seed_label),
        predicted=class_name(names, region.predicted_class),
        measured=measured,
        picture=_data_url(materials.pictures.get(region.name, b"")),
        agreement=0.0,
        rank=rank,
        share=share,
    )


def _badge(measured: RegionAccuracy | None) -> Badge:
    if measured is None:
        return Badge("no label", "open")
    return Badge("confirmed bug", "bad") if measured.confirmed else Badge("no bug", "good")


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}" if png else ""
