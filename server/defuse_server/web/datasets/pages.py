"""One dataset as it was read: pictures of its classes, its counts, and what is likely wrong with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from defuse.v1.models_pb2 import ContactSheet, Layout
from defuse.v1.registry_service_pb2 import Dataset, DatasetPair, RegistrationState
from starlette.requests import Request
from starlette.responses import Response

from defuse_server.backend import Backend
from defuse_server.errors import InvalidRequest, NotFound
from defuse_server.names import resource_id
from defuse_server.presentation.formatting import class_name
from defuse_server.presentation.region_card import Badge
from defuse_server.web.pictures import picture_answer, sheet_answer
from defuse_server.web.rendering import page

_BADGES: Final = {
    RegistrationState.REGISTRATION_STATE_INSPECTING: Badge("inspecting", "open"),
    RegistrationState.REGISTRATION_STATE_READY: Badge("ready", "good"),
    RegistrationState.REGISTRATION_STATE_REJECTED: Badge("rejected", "bad"),
}
_UNKNOWN: Final = Badge("state unknown", "plain")
_TILES_A_PAIR: Final = 2


@dataclass(frozen=True)
class ShownPair:
    """Two items that show the same picture, and where their tiles lie on the sheet, in pixels."""

    pair: DatasetPair
    tiles: Sequence[tuple[int, int]]


class DatasetPages:
    """Pages about datasets. They change nothing."""

    def __init__(self, backend: Backend) -> None:
        self._resources = backend.resources
        self._store = backend.store

    async def show(self, request: Request) -> Response:
        """Show one dataset."""
        dataset = await self._dataset(request)
        return page(
            "dataset.html",
            dataset=dataset,
            badge=_BADGES.get(dataset.state, _UNKNOWN),
            layout=Layout.Name(dataset.layout).removeprefix("LAYOUT_"),
            pairs=list(_pairs(dataset)),
            name_of=partial(class_name, list(dataset.class_names)),
        )

    async def class_sheet(self, request: Request) -> Response:
        """Show the picture of the classes."""
        dataset = await self._dataset(request)
        return await picture_answer(self._store, dataset.class_sheet.artifact)

    async def duplicate_sheet(self, request: Request) -> Response:
        """Show the pictures of pairs that stand in two splits."""
        return await sheet_answer(self._store, (await self._dataset(request)).duplicate_sheet)

    async def _dataset(self, request: Request) -> Dataset:
        name = f"datasets/{request.path_params['dataset']}"
        try:
            resource_id("datasets", name)
        except InvalidRequest:
            raise NotFound(name[:100]) from None
        return cast("Dataset", await self._resources.get(name))


def _pairs(dataset: Dataset) -> Iterator[ShownPair]:
    sheet: ContactSheet = dataset.duplicate_sheet
    for number, pair in enumerate(dataset.duplicate_pairs):
        places = range(_TILES_A_PAIR * number, _TILES_A_PAIR * (number + 1))
        tiles = [
            (place % sheet.columns * sheet.tile_width, place // sheet.columns * sheet.tile_height)
            for place in places
        ]
        yield ShownPair(pair, tiles)
