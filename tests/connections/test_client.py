"""The queue of a client that does not keep up."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from unionws.connections.client import SKIP_WINDOW, SKIPS_ALLOWED, Backlog, Client
from unionws.frames import Frame

NOW = 1000.0


def transfers(prev: int, seq: int, size: int = 30) -> Frame:
    return Frame(b"[T %d %d%s]" % (prev, seq, b"." * size), prev, seq)


def gap(first: int, last: int) -> Frame:
    return Frame(b"[G %d %d]" % (first, last), first, last)


def other(name: str, size: int = 0) -> Frame:
    return Frame(b"[O %s%s]" % (name.encode(), b"." * size))


def start(newest: int, begin: int) -> Frame:
    """Transfers up to ``newest`` were sent; from here on come those behind ``begin``."""
    return Frame(b"[S %d %d]" % (newest, begin), start=True)


def chart(rev: int) -> Frame:
    return Frame(b"[C %d%s]" % (rev, b"." * 200), chart=True)


def backlog(max_bytes: int = 200, max_frames: int = 10) -> Backlog:
    return Backlog(max_bytes, max_frames, gap)


def drain(queue: Backlog, step: int = 7) -> bytes:
    """All that waits, taken in small steps as a socket would."""
    out = b""
    while (data := queue.head()) is not None:
        taken = bytes(data[:step])
        out += taken
        queue.advance(len(taken))
    return out


def told(stream: bytes) -> list[str]:
    """Frames of a stream; fails when one is not whole."""
    assert re.fullmatch(rb"(\[[^\[\]]*\])*", stream), stream
    return [found.rstrip(".") for found in re.findall(r"\[([^\]]*)\]", stream.decode())]


def test_frames_wait_in_order() -> None:
    """What fits comes out as it went in."""
    queue = backlog()
    for seq in range(1, 4):
        assert queue.push(transfers(seq - 1, seq), NOW)
    assert len(queue) == 3
    assert told(drain(queue)) == ["T 0 1", "T 1 2", "T 2 3"]
    assert (len(queue), queue.size) == (0, 0)


def test_rest_of_a_frame_comes_first() -> None:
    """Bytes that are out already are not sent again."""
    queue = backlog()
    begun = transfers(0, 1)
    queue.push(begun, NOW, sent=5)
    queue.push(transfers(1, 2), NOW)
    assert begun.data[:5] + drain(queue) == begun.data + transfers(1, 2).data


def test_what_does_not_fit_is_told_as_a_gap() -> None:
    """The frame partly out is finished, the others and the new one become one gap, live frames follow."""
    queue = backlog(max_bytes=100)
    begun = transfers(0, 1)
    queue.push(begun, NOW, sent=5)
    for seq in range(2, 5):
        assert queue.push(transfers(seq - 1, seq), NOW)
    assert told(begun.data[:5] + drain(queue)) == ["T 0 1", "G 1 3", "T 3 4"]
    assert queue.skipped == 1


def test_two_skips_before_the_gap_is_out_make_one_gap() -> None:
    """A gap that still waits grows instead of being told twice."""
    queue = backlog(max_bytes=100)
    for seq in range(1, 9):
        assert queue.push(transfers(seq - 1, seq), NOW)
    assert queue.skipped == 2
    assert told(drain(queue)) == ["G 0 6", "T 6 7", "T 7 8"]


def test_gap_partly_out_is_finished_and_the_next_begins_behind_it() -> None:
    """No position is told missing twice."""
    queue = backlog(max_bytes=100)
    for seq in range(1, 4):
        queue.push(transfers(seq - 1, seq), NOW)
    begun = bytes((queue.head() or b"")[:3])
    queue.advance(3)
    for seq in range(4, 8):
        queue.push(transfers(seq - 1, seq), NOW)
    assert told(begun + drain(queue)) == ["G 0 3", "G 3 6", "T 6 7"]


def test_frame_bound_counts_too() -> None:
    """Many tiny frames are skipped as well."""
    queue = backlog(max_bytes=100_000, max_frames=3)
    for seq in range(1, 5):
        queue.push(transfers(seq - 1, seq), NOW)
    assert told(drain(queue)) == ["G 0 4"]


def test_larger_than_the_bound_is_taken_when_nothing_waits() -> None:
    """Nobody is skipped for the size of a single frame."""
    queue = backlog(max_bytes=100)
    assert queue.push(transfers(0, 1, size=5000), NOW)
    assert told(drain(queue)) == ["T 0 1"]


def test_transfers_behind_a_large_frame_are_skipped_not_given_up() -> None:
    """A frame over the bound that is partly out does not cost the client its connection."""
    queue = backlog(max_bytes=100)
    large = other("large", 5000)
    assert queue.push(large, NOW, sent=10)
    assert queue.push(transfers(0, 1), NOW)
    assert told(large.data[:10] + drain(queue)) == ["O large", "G 0 1"]


def test_other_messages_are_kept_when_transfers_are_skipped() -> None:
    """Replies and status are not lost in a skip; they come behind the gap, as they may name positions."""
    queue = backlog(max_bytes=100)
    for frame in (other("reply"), transfers(0, 1), transfers(1, 2), transfers(2, 3)):
        assert queue.push(frame, NOW)
    assert told(drain(queue)) == ["G 0 3", "O reply"]


def test_other_message_that_does_not_fit_skips_transfers() -> None:
    """A status message finds room at the cost of waiting transfers."""
    queue = backlog(max_bytes=100)
    queue.push(transfers(0, 1), NOW)
    queue.push(transfers(1, 2), NOW)
    assert queue.push(other("status", 40), NOW)
    assert told(drain(queue)) == ["G 0 2", "O status"]


def test_replies_alone_over_the_bound_give_the_client_up() -> None:
    """Who asks without reading the answers fills nobody's memory."""
    queue = backlog(max_bytes=100)
    assert queue.push(other("a", 60), NOW)
    assert not queue.push(other("b", 60), NOW)


def test_kept_replies_over_the_bound_give_the_client_up() -> None:
    """Skipping transfers does not help who has too many replies waiting."""
    queue = backlog(max_bytes=100)
    queue.push(other("a", 60), NOW)
    queue.push(transfers(0, 1, size=1), NOW)
    assert not queue.push(other("b", 60), NOW)


def test_a_new_start_stays_before_the_gap_behind_it() -> None:
    """Going back, the client is told of what is missing there, and of nothing that never was."""
    queue = backlog(max_bytes=120)
    queue.push(transfers(6, 7), NOW)
    queue.push(start(7, 1), NOW)
    queue.push(other("reply"), NOW)
    queue.push(transfers(1, 2), NOW)
    assert queue.push(transfers(2, 3), NOW)
    assert told(drain(queue)) == ["T 6 7", "S 7 1", "G 1 3", "O reply"]


def test_a_new_start_alone_does_not_save_what_was_sent_before() -> None:
    """Without transfers behind it, those before it give way."""
    queue = backlog(max_bytes=100)
    queue.push(transfers(5, 6), NOW)
    queue.push(start(6, 1), NOW)
    assert queue.push(other("long", 60), NOW)
    assert told(drain(queue)) == ["G 5 6", "S 6 1", "O long"]


def test_a_gap_behind_a_new_start_is_another_one() -> None:
    """That of the time before is told as it is."""
    queue = backlog(max_bytes=70)
    queue.push(transfers(4, 5), NOW)
    assert queue.push(transfers(5, 6), NOW)
    queue.push(start(6, 1), NOW)
    queue.push(transfers(1, 2), NOW)
    assert queue.push(transfers(2, 3), NOW)
    assert queue.push(transfers(3, 4), NOW)
    assert told(drain(queue)) == ["G 4 6", "S 6 1", "G 1 3", "T 3 4"]


def test_newest_chart_replaces_the_one_that_waits() -> None:
    """chartData is never queued twice, and comes out after what waited before it."""
    queue = backlog()
    queue.push(transfers(0, 1), NOW)
    for rev in range(1, 4):
        assert queue.push(chart(rev), NOW)
    queue.push(transfers(1, 2), NOW)
    assert told(drain(queue)) == ["T 0 1", "T 1 2", "C 3"]


def test_chart_partly_out_is_finished_before_a_newer_one() -> None:
    """Half a frame can never be replaced."""
    queue = backlog()
    queue.push(chart(1), NOW, sent=5)
    queue.push(chart(2), NOW)
    assert told(chart(1).data[:5] + drain(queue)) == ["C 1", "C 2"]


def test_ten_skips_within_a_minute_give_the_client_up() -> None:
    """The tenth skip is one too many."""
    queue = backlog(max_frames=1)
    results = [queue.push(transfers(seq - 1, seq), NOW + seq) for seq in range(1, SKIPS_ALLOWED + 2)]
    assert results == [True] * SKIPS_ALLOWED + [False]


def test_ten_skips_over_a_longer_time_are_forgiven() -> None:
    """Old skips do not count."""
    queue = backlog(max_frames=1)
    step = SKIP_WINDOW / (SKIPS_ALLOWED - 1) + 0.01
    assert all(queue.push(transfers(seq - 1, seq), NOW + seq * step) for seq in range(1, 40))


def test_skips_are_remembered_for_a_minute() -> None:
    """A queue that was skipped may not be forgotten at once."""
    queue = backlog(max_frames=1)
    assert not queue.recently_skipped(NOW)
    queue.push(transfers(0, 1), NOW)
    queue.push(transfers(1, 2), NOW)
    assert queue.recently_skipped(NOW + SKIP_WINDOW - 1)
    assert not queue.recently_skipped(NOW + SKIP_WINDOW)


def test_forget_keeps_only_the_rest_of_a_frame_partly_out() -> None:
    """Before a close frame everything else goes."""
    queue = backlog()
    queue.push(transfers(0, 1), NOW, sent=5)
    queue.push(transfers(1, 2), NOW)
    queue.push(chart(1), NOW)
    queue.forget()
    queue.append(other("close"))
    assert told(transfers(0, 1).data[:5] + drain(queue)) == ["T 0 1", "O close"]


def test_forget_of_what_has_not_begun() -> None:
    """Nothing is left where no byte is out."""
    queue = backlog()
    queue.push(transfers(0, 1), NOW)
    queue.forget()
    assert queue.head() is None
    assert (len(queue), queue.size) == (0, 0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("transfers"), st.integers(0, 60)),
        st.tuples(st.just("other"), st.integers(0, 10)),
        st.tuples(st.just("start"), st.integers(0, 9)),
        st.tuples(st.just("chart"), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 120)),
    ),
    max_size=80,
)


@given(STEPS, st.integers(60, 300), st.integers(2, 8), st.integers(1, 20))
def test_all_that_is_skipped_is_covered_by_gaps(
    steps: list[tuple[str, int]], max_bytes: int, max_frames: int, first_sent: int
) -> None:
    """However a client reads: frames come whole and in order, and every position is accounted for."""
    queue = Backlog(max_bytes, max_frames, gap)
    stream = b""
    seq, rev = 0, 0
    for number, (kind, value) in enumerate(steps):
        now = NOW + number * SKIP_WINDOW  # no client is given up for skips here
        if kind == "read":
            data = queue.head()
            if data is not None:
                taken = bytes(data[:value])
                stream += taken
                queue.advance(len(taken))
            continue
        if kind == "transfers":
            seq += 1
            frame = transfers(seq - 1, seq, value)
        elif kind == "start":
            back = max(0, seq - value)
            frame, seq = start(seq, back), back
        elif kind == "chart":
            rev += 1
            frame = chart(rev)
        else:
            frame = other(f"n{number}", value)
        sent = min(first_sent, len(frame.data) - 1) if not queue else 0
        stream += frame.data[:sent]
        if not queue.push(frame, now, sent):
            return
        assert len(queue) <= max_frames + len(steps)
    stream += drain(queue)
    check_account(told(stream), seq)
    assert queue.size == 0


def check_account(frames: list[str], newest: int) -> None:
    """The rule every client follows: a gap is exactly where prev > last."""
    last, revs, others = 0, [], []
    for kind, *values in (frame.split(" ") for frame in frames):
        if kind in "TG":
            prev, seq = map(int, values)
            assert prev <= last, "positions are missing"
            assert seq > last, "positions go back"
            last = seq
        elif kind == "S":
            assert int(values[0]) == last, "what was sent before is not accounted for"
            last = int(values[1])
        elif kind == "C":
            revs.append(int(values[0]))
        else:
            others.append(int(values[0][1:]))
    assert last == newest
    assert revs == sorted(set(revs))
    assert others == sorted(others)


def test_client_costs_little() -> None:
    """An idle client has no parser and no queue, and no room for anything else."""
    client = Client(5, 1, "192.0.2.1", deflate=False, seen=0)
    assert (client.inbox, client.backlog) == (None, None)
    assert not hasattr(client, "__dict__")
