from __future__ import annotations

import os
import pickle
import select
import threading

import pytest
from support.specs import offered, spec_for

from stagerunner.engines.process.worker.main import Left, Worker, leave, read_lines
from stagerunner.engines.worker.hooks import call_hooks
from stagerunner.records import DATA, END, READY
from stagerunner.wire.frame import BadFrame, Frame, Header, Metadata, pack_metadata, unpack_payload
from stagerunner.wire.metrics import LEFT, MetricsPage, create
from stagerunner.wire.pipe import Inbound, send, send_pieces


def double(record):
    return record * 2


class Unfit:
    """Can't be set up."""

    def setup(self) -> None:
        raise ValueError("no licence")

    def process(self, record):
        return record


class Wired:
    """A worker in a thread of this process, with pipes to talk to it."""

    def __init__(self, spec, inbound: int = 1, outbound: int = 1) -> None:
        ins, outs = [os.pipe() for _ in range(inbound)], [os.pipe() for _ in range(outbound)]
        self.fd = create(spec.slot_count, spec.places)
        self.page = MetricsPage(self.fd, spec.slot_count, spec.places)
        self.to = [writing for _, writing in ins]
        self.back = [Inbound(reading, 10**7) for reading, _ in outs]
        self._open = {fd for pair in (*ins, *outs) for fd in pair}
        self.worker = Worker(spec, [reading for reading, _ in ins], [writing for _, writing in outs], self.page)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:
            self.error = error

    def ready(self, *lines) -> None:
        for fd in self.to:
            send_pieces(fd, Header(READY, 0, 1, 0), pickle.dumps(list(lines)) if lines else b"")

    def data(self, pipe: int, sequence: int, records: list, epoch: int = 1) -> None:
        header = Header(DATA, 0, epoch, sequence, 0, 0, len(records))
        send(self.to[pipe], header, pack_metadata(Metadata()), pickle.dumps(records))

    def end(self, pipe: int, frames: int) -> None:
        send(self.to[pipe], Header(END, 0, 1, frames))

    def read(self, pipe: int = 0) -> tuple[int, int, list | None]:
        """Kind, sequence and records of the next frame."""
        header, payload = self.back[pipe].read()
        records = pickle.loads(unpack_payload(payload)[1]) if header.kind == DATA else None
        return header.kind, header.sequence, records

    def nothing_more(self, pipe: int = 0) -> bool:
        """Whether nothing has been written that wasn't read."""
        return not select.select([self.back[pipe].fd], [], [], 0)[0]

    def shut(self, fd: int) -> None:
        self._open.discard(fd)
        os.close(fd)

    def ended(self) -> BaseException | None:
        """How it ended."""
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.error

    def close(self) -> None:
        for fd in self.to:
            if fd in self._open:
                self.shut(fd)
        self.thread.join(10)
        for fd in list(self._open):
            self.shut(fd)
        self.page.close()
        os.close(self.fd)


@pytest.fixture
def wired():
    made = []

    def wired(spec, inbound: int = 1, outbound: int = 1) -> Wired:
        made.append(Wired(spec, inbound, outbound))
        return made[-1]

    yield wired
    for one in made:
        one.close()


def test_a_life_from_ready_to_end(wired):
    worker = wired(spec_for(double))
    worker.ready()
    assert read_lines(worker.back[0]) == [(0, 0, os.getpid(), "")]

    worker.data(0, 0, [1, 2])
    worker.data(0, 1, [3])
    worker.end(0, 2)

    # The first record goes by itself: what it becomes isn't known yet.
    expected = [(DATA, 0, [2]), (DATA, 0, [4]), (DATA, 1, [6]), (END, 2, None)]
    assert [worker.read() for _ in range(4)] == expected
    assert worker.ended() is None


def test_frames_are_taken_from_the_pipes_in_turn_and_sent_where_their_sequence_says(wired):
    spec = spec_for(double, number=1, width=2, inbound=(0, 1, 2), outbound=(0, 1, 2), upstream=3, downstream=3)
    worker = wired(spec, 3, 3)
    worker.ready()
    for pipe in worker.back:
        read_lines(pipe)
    for sequence in (5, 3, 1):
        worker.data(sequence % 3, sequence, [sequence])
    for pipe in range(3):
        worker.end(pipe, 6)

    assert worker.read(1) == (DATA, 1, [2])
    assert worker.read(0) == (DATA, 3, [6])
    assert worker.read(2) == (DATA, 5, [10])
    assert [worker.read(pipe)[0] for pipe in range(3)] == [END] * 3
    assert worker.ended() is None


def test_who_could_not_be_set_up_passes_nothing_on(wired):
    worker = wired(spec_for(Unfit))
    worker.ready()
    worker.data(0, 0, [1, 2])
    worker.shut(worker.to[0])

    ((_, _, _, error),) = read_lines(worker.back[0])
    assert error.startswith("ValueError: no licence")
    assert isinstance(worker.ended(), Left)
    assert worker.nothing_more()


def test_ready_collects_the_lines_of_those_before(wired):
    worker = wired(spec_for(double))
    worker.ready((-5, 0, 11, ""), (-5, 1, 12, "no such library"))

    assert read_lines(worker.back[0]) == [
        (-5, 0, 11, ""),
        (-5, 1, 12, "no such library"),
        (0, 0, os.getpid(), ""),
    ]


def test_an_error_in_setup_goes_with_ready(wired):
    class Bad:
        def setup(self):
            raise ValueError("no such table")

        def process(self, record):
            return record

    worker = wired(spec_for(Bad))
    worker.ready()

    ((_, _, _, text),) = read_lines(worker.back[0])
    assert text.startswith("ValueError: no such table\n")


def test_a_neighbour_that_leaves_without_end_is_followed(wired):
    worker = wired(spec_for(double))
    worker.ready()
    worker.data(0, 0, [1])
    worker.shut(worker.to[0])

    assert isinstance(worker.ended(), Left)


@pytest.mark.parametrize(
    "fault",
    [
        lambda worker: worker.data(0, 1, [1]),
        lambda worker: worker.data(0, 0, [1], epoch=2),
        lambda worker: worker.end(0, 3),
        lambda worker: os.write(worker.to[0], b"x" * 100),
    ],
    ids=["out of turn", "of another epoch", "the end too soon", "no frame"],
)
def test_what_can_not_be_is_a_fault(wired, fault):
    worker = wired(spec_for(double))
    worker.ready()
    fault(worker)

    assert isinstance(worker.ended(), BadFrame)


def test_every_pipe_has_to_say_end(wired):
    worker = wired(spec_for(double, inbound=(0, 1), upstream=2), 2)
    worker.ready()
    worker.end(0, 0)
    worker.data(1, 1, [5])

    assert isinstance(worker.ended(), BadFrame)


def test_a_long_ready_comes_in_pieces(wired):
    worker = wired(spec_for(double))
    lines = [(-5, number, number, "x" * 100) for number in range(50)]
    worker.ready(*lines)

    assert read_lines(worker.back[0])[:50] == lines


def test_hooks_are_called_with_as_much_as_they_take():
    told = []

    def all_of_it(stage, worker):
        told.append((stage, worker))

    def nothing():
        told.append(())

    call_hooks((offered(all_of_it), offered(nothing)), spec_for(double, number=2))

    assert told == [("double", 2), ()]


def test_whoever_leaves_in_good_order_says_so():
    spec = spec_for(double)
    fd = create(1)
    page = MetricsPage(fd, 1)

    leave(page, spec)

    assert page.slot(0).words[LEFT] == 1
    page.close()
    os.close(fd)


def test_frames_are_plain_tuples():
    assert Frame(Header(DATA, 0, 1, 0), b"").header.kind == DATA
