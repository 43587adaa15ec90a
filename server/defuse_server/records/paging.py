"""What all lists share: the size of a page, and tokens that say where the next one begins."""

from defuse_server.errors import InvalidRequest, PageTokenInvalid
from defuse_server.records.sealed import Sealer

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000


def checked_page_size(page_size: int) -> int:
    """Return the size to use: 0 counts as 50; raises InvalidRequest outside of 0..1000."""
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidRequest([("page_size", f"expected 0..{MAX_PAGE_SIZE}, got {page_size}")])
    return page_size or DEFAULT_PAGE_SIZE


async def opened_page_token(sealer: Sealer, purpose: str, token: str) -> int | None:
    """Return the position in a token of the list and filter that `purpose` names; None for the first page.

    Raises PageTokenInvalid.
    """
    if not token:
        return None
    position = await sealer.open(purpose, token)
    if position is None:
        raise PageTokenInvalid(
            "the page token was not handed out for this list and filter: pass the next_page_token of the "
            "page before with the same filter, or leave it empty to begin again"
        )
    return int(position)
