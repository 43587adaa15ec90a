"""Page sizes and page tokens of all lists."""

from defuse_server.errors import InvalidRequest, PageTokenInvalid
from defuse_server.records.sealed import Sealer

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000


def checked_page_size(page_size: int) -> int:
    """Return the page size to use: 50 for 0. Raises `InvalidRequest` outside of 0..1000."""
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidRequest([("page_size", f"expected 0..{MAX_PAGE_SIZE}, got {page_size}")])
    return page_size or DEFAULT_PAGE_SIZE


async def opened_page_token(sealer: Sealer, purpose: str, token: str) -> int | None:
    """Return the position that a token holds, or None for the first page.

    `purpose` names the list and its filter. Raises `PageTokenInvalid` for a token of another purpose.
    """
    if not token:
        return None
    position = await sealer.open(purpose, token)
    if position is None:
        raise PageTokenInvalid(
            "the page token was not handed out for this list and filter: pass the next_page_token of the "
            "previous page with the same filter, or leave it empty to begin again"
        )
    return int(position)
