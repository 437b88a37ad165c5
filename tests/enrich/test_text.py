from __future__ import annotations

import json

import pytest

from unionws.enrich.text import encode, whole, whole_texts
from unionws.model import Chain, Rpc, Transfer

HALF = "\ud83d"
PAIR = "\ud83d\ude00"


def test_text_is_kept_as_it_is() -> None:
    """Non-ASCII text and slashes are not escaped, so frames stay small."""
    assert encode({"a": "</script> é 日"}) == '{"a":"</script> é 日"}'.encode()


def test_controls_and_quotes_are_escaped() -> None:
    """Quotes, backslashes and control characters come back unchanged from a JSON parser."""
    text = 'a"b\\c\n\x00\x7f\u2028'
    assert json.loads(encode([text])) == [text]


def test_half_a_pair_cannot_be_encoded() -> None:
    """Half a surrogate pair is refused rather than sent as invalid UTF-8."""
    with pytest.raises(UnicodeEncodeError):
        encode({"a": HALF})


def test_whole_joins_pairs_and_replaces_halves() -> None:
    """Surrogate pairs become their character, lone halves U+FFFD."""
    assert whole(f"x{PAIR}y{HALF}z") == "x😀y\ufffdz"


def test_whole_texts_reaches_nested_texts() -> None:
    """Texts inside chains and their RPC lists are mended too, other values kept."""
    chain = Chain(f"a{HALF}", testnet=True, rpcs=(Rpc("rpc", HALF),))
    mended = whole_texts(Transfer(HALF, chain, Chain("b"), transfer_index=3))
    assert mended == Transfer(
        "\ufffd", Chain("a\ufffd", testnet=True, rpcs=(Rpc("rpc", "\ufffd"),)), Chain("b"), transfer_index=3
    )
