"""Which side took liquidity, out of the words of a feed."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

SIDES = {"buy": "buy", "sell": "sell"}


def aggressor_side(texts: pa.Array, words: Mapping[str, str] = SIDES) -> pa.Array:
    """Translate a feed's words, upper case or lower, to buy and sell; null where a text is none of them."""
    index = pc.index_in(pc.ascii_lower(texts), pa.array(list(words)))
    return pa.array(list(words.values())).take(index)
