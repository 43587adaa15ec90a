"""Pieces of work run side by side, and nothing of it shows in what they give."""

import subprocess
import sys
import threading

import pytest
import torch

from defuse_engine.parallel import Tally, in_order


def test_pieces_come_in_their_order_whoever_ends_first():
    second = threading.Event()

    def work(piece):
        if piece == 0:
            assert second.wait(10)
        if piece == 1:
            second.set()
        return piece * piece

    assert list(in_order(work, range(5), 2, 2)) == [0, 1, 4, 9, 16]


def test_no_more_run_at_once_than_asked_for():
    # A barrier opens only for exactly three: with fewer, or one after another, it breaks.
    three, running, most, lock = threading.Barrier(3, timeout=10), 0, 0, threading.Lock()

    def work(piece):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        three.wait()
        with lock:
            running -= 1

    list(in_order(work, range(6), 3, 3))
    assert most == 3


@pytest.mark.parametrize("at_once", [1, 2])
def test_pieces_share_torchs_threads_and_leave_the_callers_alone(at_once):
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert list(in_order(lambda _: torch.get_num_threads(), range(4), at_once, 4)) == [4 // at_once] * 4
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_a_piece_runs_pieces_of_its_own_one_after_another_in_its_thread():
    def outer(_):
        return set(in_order(lambda _: threading.get_ident(), range(3), 2, 2)) == {threading.get_ident()}

    assert list(in_order(outer, range(3), 2, 2)) == [True] * 3


def test_few_pieces_have_all_threads_for_pieces_of_their_own():
    def outer(_):
        two = threading.Barrier(2, timeout=10)
        return list(in_order(lambda _: two.wait() in (0, 1), range(2), 4, 4))

    assert list(in_order(outer, range(2), 4, 4)) == [[True, True]] * 2
    assert list(in_order(lambda _: threading.get_ident(), range(1), 4, 4)) == [threading.get_ident()]


def test_the_end_of_the_cpu_time_is_told_while_pieces_work():
    """The signal goes to a thread that uses the processor, its handler is the main thread's."""
    program = """
import hashlib, os, resource, signal, time
from defuse_engine.parallel import in_order
def over(*_):
    raise TimeoutError("over")
def work(_):
    end = time.monotonic() + 300
    while time.monotonic() < end:
        hashlib.sha256(bytes(1 << 20))
signal.signal(signal.SIGXCPU, over)
used = int(time.process_time()) + 1
resource.setrlimit(resource.RLIMIT_CPU, (used + 1, used + 60))
try:
    list(in_order(work, range(4), 2, 2))
except TimeoutError as error:
    print(error, flush=True)
    os._exit(3)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split()) == (3, ["over"]), run.stderr


def test_who_stops_early_has_no_further_pieces_begun():
    begun = []

    def work(piece):
        begun.append(piece)
        return piece

    pieces = in_order(work, range(1000), 2, 2)
    assert next(pieces) == 0
    pieces.close()
    assert len(begun) < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("piece")]


def test_the_error_of_a_piece_comes_in_its_place():
    def work(piece):
        if piece == 2:
            raise ValueError("the third")
        return piece

    pieces = in_order(work, range(5), 2, 2)
    assert [next(pieces), next(pieces)] == [0, 1]
    with pytest.raises(ValueError, match="the third"):
        next(pieces)


def test_a_tally_is_the_sum_of_what_all_pieces_have_done():
    sums = []
    tally = Tally(sums.append)
    first, second = tally.of(0), tally.of(1)
    first(1)
    second(2)
    first(3)
    assert sums == [1, 3, 5]


def test_a_thread_that_gets_no_memory_reads_as_memory_refused():
    """A limit on the address space has no room for another stack of 8 MiB."""
    program = """
import resource
from defuse_engine.errors import out_of_memory
from defuse_engine.parallel import in_order
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 20), resource.RLIM_INFINITY))
try:
    list(in_order(abs, range(4), 2, 2))
except Exception as error:
    print(type(error).__name__, out_of_memory(error))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stdout.split()[-1] == "True", run.stdout + run.stderr
