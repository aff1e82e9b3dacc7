"""The rig itself: hosts reach each other, and are cut off as is asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from program import until
from rig import Host, Rig, rig

pytestmark = pytest.mark.hosts

# Sends a word to another host, and waits for it on another: which way is open?
LISTEN = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.bind(("", 999)); s.settimeout(1)
    print("waiting", flush=True)
    print(s.recvfrom(9)[0].decode(), flush=True)
"""
SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.sendto(b"word", (sys.argv[1], 999))
"""


@pytest.fixture
def network() -> Iterator[Rig]:
    with rig() as made:
        yield made


def arrives(sender: Host, receiver: Host) -> bool:
    command = [*receiver._apart.inside(Path("/")), sys.executable, "-c", LISTEN]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True) as listening:
        assert listening.stdout is not None
        assert listening.stdout.readline() == "waiting\n"
        with suppress(subprocess.CalledProcessError):  # it has no link, which it knows
            sender.call(sys.executable, "-c", SEND, receiver.address)
        return listening.stdout.readline() == "word\n"


def test_what_is_cut_and_healed(network: Rig) -> None:
    one, two = network.host(), network.host()

    def both() -> tuple[bool, bool]:
        return arrives(one, two), arrives(two, one)

    assert both() == (True, True)
    two.cut()
    assert both() == (False, False)
    two.heal()
    until(lambda: both() == (True, True))
    two.cut_incoming()
    assert both() == (False, True)
    two.heal()
    until(lambda: both() == (True, True))
    two.cut_outgoing()
    assert both() == (True, False)
    two.heal()
    until(lambda: both() == (True, True))


def test_a_slow_link(network: Rig) -> None:
    one, two = network.host(), network.host()
    two.slow(20)
    assert arrives(one, two)


def test_a_host_without_power(network: Rig) -> None:
    one, two = network.host(), network.host()
    command = [*two._apart.inside(Path("/")), "sleep", "1000"]
    with subprocess.Popen(command) as sleeping:
        until(lambda: bool(psutil.Process(sleeping.pid).children()))
        two.die()
        assert sleeping.wait() != 0
    assert not network.others(one)


def test_nothing_is_left_when_the_tests_are_killed(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import time
        from rig import rig
        with rig() as made:
            hosts = [made.host(), made.host()]
            print(*(each._apart.pid for each in hosts), made.switch.pid, flush=True)
            time.sleep(1000)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        pids = [int(each) for each in process.stdout.readline().split()]
        if not pids:
            pytest.skip("this machine makes no hosts")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(pids) == 3
    until(lambda: not any(map(psutil.pid_exists, pids)))
