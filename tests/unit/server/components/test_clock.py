"""The server's clock: never back, and never ahead of the machine's, however slow the machine is at the moment."""

from __future__ import annotations

from server.components.clock import SteadyClock


class Machine:
    """A machine that stands still for some seconds whenever its clocks are read: each stall once."""

    def __init__(self) -> None:
        self.seconds = self.up = 1000.0
        self.stalls: list[float] = []

    def stall(self) -> None:
        passed = self.stalls.pop(0) if self.stalls else 0.0
        self.seconds, self.up = self.seconds + passed, self.up + passed

    def wall(self) -> float:
        found = self.seconds
        self.stall()
        return found

    def monotonic(self) -> float:
        found = self.up
        self.stall()
        return found


def test_a_machine_that_stands_still_for_a_moment_puts_no_clock_ahead() -> None:
    for stalls in ([5.0], [0.0, 5.0], [5.0, 5.0, 5.0]):
        machine = Machine()
        clock = SteadyClock(machine.wall, machine.monotonic)
        machine.stalls = list(stalls)
        clock.now()
        clock.now()
        assert clock.now().timestamp() == machine.seconds, stalls


def test_a_clock_that_is_set_back_goes_on_and_one_that_is_set_forward_is_followed() -> None:
    machine = Machine()
    clock = SteadyClock(machine.wall, machine.monotonic)
    machine.seconds, machine.up = 400.0, machine.up + 2.0
    assert clock.now().timestamp() == 1002.0
    machine.seconds = 5000.0
    assert clock.now().timestamp() == 5000.0
