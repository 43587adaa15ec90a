"""The device, and how the work on it is cut."""

from defuse_engine.models.device import Runtime


def test_pieces_that_need_much_memory_are_fewer_than_the_cores():
    assert Runtime(threads=8).at_once() == 8
    assert Runtime(threads=8).at_once(1 << 29) == 4
    assert Runtime(threads=8).at_once(1 << 40) == 1
    assert Runtime("cuda:0", threads=8).at_once() == 1
