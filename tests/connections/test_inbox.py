"""The parser of what clients send, fed in any cuts, with wsproto as an oracle on valid traffic."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode

from tests.connections.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, masked
from unionws.connections.inbox import Close, Control, Event, Inbox, Message, is_valid_close_code, unmask
from unionws.errors import ProtocolError

LIMIT = 4096


def parse(data: bytes, *, deflate: bool = False, limit: int = LIMIT) -> list[Event]:
    return list(Inbox(limit, deflate=deflate).feed(data))


def refused(data: bytes, *, deflate: bool = False, limit: int = LIMIT) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        parse(data, deflate=deflate, limit=limit)
    return caught.value


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


# -- traffic as hypothesis makes it -------------------------------------------------------------

MASKS = st.binary(min_size=4, max_size=4)
CONTROLS = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))


@st.composite
def data_message(draw: st.DrawFn, deflate: bool) -> list[bytes]:
    """The frames of one message, with control frames between them."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(st.text(max_size=150)).encode() if opcode == TEXT else draw(st.binary(max_size=300))
    packed = deflate and draw(st.booleans())
    if packed:
        payload = deflated(payload)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    frames = []
    for index, piece in enumerate(pieces):
        kind = opcode if index == 0 else CONTINUATION
        rsv = 4 if packed and index == 0 else 0
        mask = draw(MASKS)
        frames.append(masked(kind, piece, fin=index == len(pieces) - 1, rsv=rsv, mask=mask))
        if draw(st.booleans()):
            frames.append(masked(*draw(CONTROLS), mask=draw(MASKS)))
    return frames


def traffic(deflate: bool) -> st.SearchStrategy[bytes]:
    messages = st.lists(data_message(deflate), min_size=1, max_size=4)
    return messages.map(lambda made: b"".join(b"".join(frames) for frames in made))


def in_cuts(data: bytes, cuts: Sequence[int], *, deflate: bool) -> list[Event]:
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    inbox = Inbox(LIMIT, deflate=deflate)
    events: list[Event] = []
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        events += inbox.feed(data[start:end])
    assert inbox.idle
    return events


EITHER = st.booleans().flatmap(lambda deflate: st.tuples(st.just(deflate), traffic(deflate)))


@given(EITHER, st.lists(st.integers(0, 10_000)))
def test_any_cuts_give_the_same_events(made: tuple[bool, bytes], cuts: list[int]) -> None:
    """However the bytes arrive, the events are those of the whole."""
    deflate, data = made
    assert in_cuts(data, cuts, deflate=deflate) == parse(data, deflate=deflate)


@given(traffic(False))
def test_wsproto_reads_the_same(data: bytes) -> None:
    """An independent parser finds the same messages and control frames."""
    assert parse(data) == by_wsproto(data)


def by_wsproto(data: bytes) -> list[Event]:
    protocol = FrameProtocol(client=False, extensions=[])
    protocol.receive_bytes(data)
    events: list[Event] = []
    pieces: list[str | bytes] = []
    for frame in protocol.received_frames():
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            events.append(Control(int(frame.opcode), bytes(frame.payload)))
            continue
        payload = frame.payload
        pieces.append(payload if isinstance(payload, str) else bytes(payload))
        if frame.message_finished:
            empty = "" if frame.opcode == Opcode.TEXT else b""
            events.append(Message(int(frame.opcode), empty.join(pieces)))  # type: ignore[arg-type]
            pieces = []
    return events


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=200)
def test_garbage_gives_events_or_one_protocol_error(data: bytes, deflate: bool) -> None:
    """No bytes make the parser fail in another way, and after an error it stays silent."""
    inbox = Inbox(LIMIT, deflate=deflate)
    code = 0
    try:
        list(inbox.feed(data))
    except ProtocolError as error:
        code = error.close_code
    assert code in (0, 1002, 1007, 1009)
    assert not code or list(inbox.feed(masked(PING, b"x"))) == []


# -- headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_unknown_opcodes_are_refused(opcode: int) -> None:
    """Reserved opcodes end the connection before the rest of the frame is there."""
    assert refused(bytes([0x80 | opcode])).close_code == 1002


@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
@pytest.mark.parametrize("deflate", [False, True])
def test_reserved_bits_are_refused(rsv: int, deflate: bool) -> None:
    """RSV2 and RSV3 mean nothing here, with or without compression."""
    assert refused(masked(TEXT, b"x", rsv=rsv), deflate=deflate).close_code == 1002


def test_rsv1_needs_compression() -> None:
    """A compressed message where none was agreed on is refused."""
    assert refused(masked(TEXT, deflated(b"x"), rsv=4)).close_code == 1002


@pytest.mark.parametrize("opcode", [CONTINUATION, CLOSE, PING, PONG])
def test_rsv1_belongs_to_the_first_data_frame(opcode: int) -> None:
    """RFC 7692 §6.1: never on continuations or control frames."""
    data = masked(TEXT, deflated(b"x"), fin=False, rsv=4) + masked(opcode, b"", rsv=4)
    assert refused(data, deflate=True).close_code == 1002


def test_unmasked_frames_are_refused() -> None:
    """RFC 6455 §5.1: the second byte already says it."""
    assert refused(b"\x81\x05").close_code == 1002


@pytest.mark.parametrize("data", [masked(TEXT, b"x" * 5, form=2), masked(TEXT, b"x" * 5, form=8)])
def test_length_in_a_longer_form_is_refused(data: bytes) -> None:
    """RFC 6455 §5.2: the minimal number of bytes must be used."""
    assert refused(data).close_code == 1002


def test_length_with_its_top_bit_is_refused() -> None:
    """The most significant bit of a 64-bit length must be 0."""
    assert refused(b"\x81\xff" + (1 << 63).to_bytes(8, "big")).close_code == 1002


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_control_frames_have_limits(opcode: int) -> None:
    """Control frames are whole and at most 125 bytes."""
    assert refused(bytes([0x80 | opcode, 0x80 | 126])).close_code == 1002
    assert refused(bytes([opcode])).close_code == 1002


def test_message_inside_a_message_is_refused() -> None:
    """A fragmented message goes on with continuations only."""
    assert refused(masked(TEXT, b"a", fin=False) + masked(TEXT, b"b")).close_code == 1002


def test_continuation_of_nothing_is_refused() -> None:
    """A continuation needs a beginning, also right after a finished message."""
    assert refused(masked(CONTINUATION, b"a")).close_code == 1002
    data = masked(TEXT, b"a", fin=False) + masked(CONTINUATION, b"b") + masked(CONTINUATION, b"c")
    assert refused(data).close_code == 1002


# -- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88"])
def test_bad_utf8_fails_at_its_first_bad_byte(bad: bytes) -> None:
    """What cannot become UTF-8 any more is refused in mid-frame."""
    inbox = Inbox(LIMIT, deflate=False)
    whole = masked(TEXT, b"ok " + bad + b" and much more")
    with pytest.raises(ProtocolError) as caught:
        list(inbox.feed(whole[: 6 + 3 + 2]))
    assert caught.value.close_code == 1007


def test_character_cut_by_fragments_is_whole() -> None:
    """A character may be spread over frames."""
    data = masked(TEXT, "é".encode()[:1], fin=False) + masked(CONTINUATION, "é".encode()[1:])
    assert parse(data) == [Message(TEXT, "é")]


def test_character_cut_by_the_end_is_refused() -> None:
    """A message may not end inside a character."""
    assert refused(masked(TEXT, "é".encode()[:1])).close_code == 1007


def test_binary_need_not_be_text() -> None:
    """Bytes of a binary message mean what the application says."""
    assert parse(masked(BINARY, b"\xff\xfe")) == [Message(BINARY, b"\xff\xfe")]


# -- close --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 4999])
def test_valid_close_codes(code: int) -> None:
    """Codes of the registry, of libraries and of applications are taken."""
    assert parse(close_frame(code, b"bye")) == [Close(code, "bye")]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535])
def test_invalid_close_codes(code: int) -> None:
    """Codes nobody may send are a violation."""
    assert not is_valid_close_code(code)
    assert refused(close_frame(code)).close_code == 1002


def test_close_bodies() -> None:
    """No body is 1005; one byte, and a reason that is not UTF-8, are violations."""
    assert parse(close_frame(None)) == [Close(1005, "")]
    assert refused(masked(CLOSE, b"\x03")).close_code == 1002
    assert refused(close_frame(1000, b"\xff")).close_code == 1007


# -- sizes --------------------------------------------------------------------------------------


def test_largest_message_passes_and_one_more_byte_does_not() -> None:
    """The limit is on the whole message."""
    assert parse(masked(TEXT, b"x" * 100), limit=100) == [Message(TEXT, "x" * 100)]
    error = refused(masked(TEXT, b"x" * 101), limit=100)
    assert (error.close_code, error.error_code) == (1009, "message_too_large")


def test_too_large_is_known_by_the_announced_length() -> None:
    """Nothing of a too large frame has to arrive."""
    assert refused(b"\x82\xff" + (1 << 40).to_bytes(8, "big")).close_code == 1009


def test_fragments_count_together() -> None:
    """Many small frames do not get around the limit."""
    data = masked(TEXT, b"x" * 60, fin=False) + masked(CONTINUATION, b"x" * 60)
    assert refused(data, limit=100).close_code == 1009


def test_limit_counts_each_message_anew() -> None:
    """The second message has the whole limit again."""
    assert len(parse(masked(TEXT, b"x" * 100) * 3, limit=100)) == 3


def test_bomb_is_stopped_at_the_limit() -> None:
    """60 KB that would become 60 MB never unfold."""
    bomb = deflated(b"\0" * 60_000_000)
    error = refused(masked(BINARY, bomb, rsv=4), deflate=True, limit=100_000)
    assert error.close_code == 1009


def test_compressed_message_of_exactly_the_limit_passes() -> None:
    """The bound is on what comes out, to the byte."""
    data = masked(TEXT, deflated(b"x" * 100), rsv=4)
    assert parse(data, deflate=True, limit=100) == [Message(TEXT, "x" * 100)]
    assert refused(masked(TEXT, deflated(b"x" * 101), rsv=4), deflate=True, limit=100).close_code == 1009


def test_empty_fragments_hold_no_memory() -> None:
    """A message of a million empty frames costs what an empty one costs."""
    inbox = Inbox(LIMIT, deflate=False)
    list(inbox.feed(masked(BINARY, b"", fin=False)))
    list(inbox.feed(masked(CONTINUATION, b"", fin=False) * 1000))
    assert inbox._message == []


# -- compression --------------------------------------------------------------------------------


def test_empty_compressed_message() -> None:
    """RFC 7692 §7.2.3.6: one byte 0x00 is an empty message."""
    assert parse(masked(TEXT, b"\x00", rsv=4), deflate=True) == [Message(TEXT, "")]


def test_final_blocks_are_read() -> None:
    """RFC 7692 §7.2.3.4: a block with BFINAL set is followed by others."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    final = packer.compress(b"Hello") + packer.flush(zlib.Z_FINISH)
    assert parse(masked(TEXT, final + b"\x00", rsv=4), deflate=True) == [Message(TEXT, "Hello")]
    two = masked(TEXT, final + final + b"\x00", rsv=4)
    assert parse(two, deflate=True) == [Message(TEXT, "HelloHello")]


def test_examples_of_the_standard() -> None:
    """RFC 7692 §7.2.3.1 and §7.2.3.3: compressed, fragmented, and stored blocks."""
    hello = bytes.fromhex("f248cdc9c90700")
    assert parse(masked(TEXT, hello, rsv=4), deflate=True) == [Message(TEXT, "Hello")]
    cut = masked(TEXT, hello[:3], fin=False, rsv=4) + masked(CONTINUATION, hello[3:])
    assert parse(cut, deflate=True) == [Message(TEXT, "Hello")]
    stored = bytes.fromhex("000500faff48656c6c6f00")
    assert parse(masked(TEXT, stored, rsv=4), deflate=True) == [Message(TEXT, "Hello")]


def test_garbage_is_not_inflated() -> None:
    """Data that is no DEFLATE is 1007."""
    assert refused(masked(TEXT, b"\xff\xff\xff\xff", rsv=4), deflate=True).close_code == 1007


@pytest.mark.parametrize("cut", range(1, len(deflated(b"cut me short" * 9)) - 1))
def test_truncated_data_is_not_taken_for_a_message(cut: int) -> None:
    """A message that ends inside a block is 1007, wherever it is cut."""
    assert refused(masked(TEXT, deflated(b"cut me short" * 9)[:cut], rsv=4), deflate=True).close_code == 1007


def test_bad_utf8_under_compression() -> None:
    """Text is checked after inflation."""
    assert refused(masked(TEXT, deflated(b"\xff"), rsv=4), deflate=True).close_code == 1007


def test_plain_message_passes_where_compression_was_agreed() -> None:
    """RSV1 says which messages are compressed."""
    assert parse(masked(TEXT, b"x"), deflate=True) == [Message(TEXT, "x")]


# -- state --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, len(masked(TEXT, b"abc", fin=False))))
def test_in_mid_frame_the_parser_must_be_kept(size: int) -> None:
    """Idle is only who has nothing of a message."""
    inbox = Inbox(LIMIT, deflate=False)
    list(inbox.feed(masked(TEXT, b"abc", fin=False)[:size]))
    assert not inbox.idle


def test_between_messages_the_parser_may_go() -> None:
    """A whole message leaves nothing behind, a message begun does."""
    inbox = Inbox(LIMIT, deflate=False)
    assert inbox.idle
    list(inbox.feed(masked(TEXT, b"a", fin=False)))
    assert not inbox.idle
    list(inbox.feed(masked(CONTINUATION, b"b")))
    assert inbox.idle


def test_events_before_an_error_are_given() -> None:
    """What was right before a violation is still delivered."""
    inbox = Inbox(LIMIT, deflate=False)
    events = inbox.feed(masked(TEXT, b"a") + b"\xff")
    assert next(events) == Message(TEXT, "a")
    with pytest.raises(ProtocolError):
        next(events)


@given(st.binary(max_size=70), MASKS)
def test_unmask_is_the_standards_loop(data: bytes, mask: bytes) -> None:
    """RFC 6455 §5.3 as it is written there."""
    assert unmask(data, mask) == bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
