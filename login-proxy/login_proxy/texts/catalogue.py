"""All words of the pages as one catalogue, for the templates. A word may be defined once only."""

from __future__ import annotations

from login_proxy import texts
from login_proxy.texts import access, market, settings, wallet

_PARTS = (texts.PAGE, access.PAGE, market.PAGE, settings.PAGE, wallet.PAGE)
PAGE: dict[str, str] = {key: words for part in _PARTS for key, words in part.items()}

if len(PAGE) != sum(len(part) for part in _PARTS):
    raise AssertionError("a word of the page is defined twice")
