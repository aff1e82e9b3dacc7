"""Hosts in a network, on this machine: each has processes, a network address and a link of its own.

A host is a namespace of processes, of the network and of mounts, whose first process holds it. Ends
that, the kernel ends all others of the host and removes its network. The hosts' first processes,
and that of the switch to which their links go, end with the tests' process, however that ends: so
nothing is left behind. All hosts see the same files.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from clusters import started
from program import Program

_APART = ("unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child")
_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_NETWORK = ipaddress.ip_network("10.77.0.0/24")
_NOBODY = "02:00:00:00:00:99"


class _Namespace:
    """Ended by `end`, or with this process."""

    def __init__(self) -> None:
        self._outside = subprocess.Popen(
            [*_WITH_PARENT, *_APART, "sh", "-c", "echo ready; exec sleep infinity"],
            stdout=subprocess.PIPE,
        )
        assert self._outside.stdout is not None
        self._outside.stdout.readline()
        [first] = psutil.Process(self._outside.pid).children()
        self.pid = first.pid

    def inside(self, folder: Path) -> tuple[str, ...]:
        """What to begin a command with that runs in there."""
        return ("nsenter", "-t", str(self.pid), "-n", "-p", "-m", f"--wd={folder}", "--")

    def ip(self, *arguments: str) -> None:
        """Change its network."""
        command = ["nsenter", "-t", str(self.pid), "-n", "ip", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def end(self) -> None:
        """Kill all that runs in there, at once."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._outside.wait()
        assert self._outside.stdout is not None
        self._outside.stdout.close()


class Host:
    """One of the hosts of a rig."""

    def __init__(self, rig: Rig, link: str, address: str) -> None:
        self.address = address
        self._rig = rig
        self._link = link
        self._apart = _Namespace()
        self._programs: list[Program] = []
        switch = rig.switch
        to = ("netns", str(self._apart.pid))
        switch.ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", *to)
        switch.ip("link", "set", self._link, "master", "switch", "up")
        for device in ("lo", "eth0"):
            self._apart.ip("link", "set", device, "up")
        prefix = _NETWORK.prefixlen
        self._apart.ip("address", "add", f"{self.address}/{prefix}", "dev", "eth0")

    def start(self, folder: Path, *arguments: str, **environment: str) -> Program:
        """Start `daskingest` there, in a folder of its own."""
        program = started(self._apart.inside(folder), folder, *arguments, **environment)
        self._programs.append(program)
        return program

    def run(self, folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
        """The exit code and the output of `daskingest` there."""
        program = self.start(folder, *arguments, **environment)
        return program.wait(), program.output

    def call(self, *command: str) -> str:
        """The output of a command there, which succeeds."""
        whole = [*self._apart.inside(Path("/")), *command]
        return subprocess.run(whole, check=True, capture_output=True, text=True).stdout

    def cut(self) -> None:
        """Nothing goes out or comes in any more, and nobody is told."""
        self._rig.switch.ip("link", "set", self._link, "down")

    def heal(self) -> None:
        """It has its link again, both ways."""
        self._rig.switch.ip("link", "set", self._link, "up")
        for each in self._rig.others(self):
            self._find(each)
            each._find(self)

    def cut_outgoing(self) -> None:
        """What it sends to the others is lost; what they send arrives."""
        for each in self._rig.others(self):
            self._lose(each)

    def cut_incoming(self) -> None:
        """What the others send to it is lost; what it sends arrives."""
        for each in self._rig.others(self):
            each._lose(self)

    def _lose(self, other: Host) -> None:
        lost = ("lladdr", _NOBODY, "dev", "eth0", "nud", "permanent")
        self._apart.ip("neighbour", "replace", other.address, *lost)

    def _find(self, other: Host) -> None:
        with suppress(subprocess.CalledProcessError):  # it was not lost
            self._apart.ip("neighbour", "del", other.address, "dev", "eth0")

    def slow(self, milliseconds: int) -> None:
        """What comes in takes so much longer. Skips the test where the kernel cannot do that."""
        delay = ("netem", "delay", f"{milliseconds}ms")
        pid = str(self._rig.switch.pid)
        command = ["nsenter", "-t", pid, "-n", "tc", "qdisc", "replace", "dev", self._link, "root"]
        found = subprocess.run([*command, *delay], check=False, capture_output=True, text=True)
        if found.returncode:
            pytest.skip(f"this kernel slows no network: {found.stderr.strip()}")

    def die(self) -> None:
        """Its power fails: its processes are gone, and nobody is told."""
        if self not in self._rig.hosts:
            return
        self.cut()
        self._rig.hosts.remove(self)
        self._apart.end()
        for each in self._programs:
            each.process.wait()

    def signal(self, program: Program, number: int) -> None:
        """Send a signal to a program there."""
        [process] = psutil.Process(program.process.pid).children()
        process.send_signal(number)


class Rig:
    """Hosts at one switch."""

    def __init__(self) -> None:
        self.switch = _Namespace()
        self.hosts: list[Host] = []
        self._count = 0
        self.switch.ip("link", "add", "name", "switch", "type", "bridge")
        self.switch.ip("link", "set", "switch", "up")

    def host(self, address: str = "") -> Host:
        """Another host, which may have the address of one that is gone."""
        self._count += 1
        host = Host(self, f"link{self._count}", address or str(_NETWORK[self._count]))
        self.hosts.append(host)
        return host

    def others(self, host: Host) -> list[Host]:
        """Those that are there but this one."""
        return [each for each in self.hosts if each is not host]

    def end(self) -> None:
        """End all of it."""
        for each in list(self.hosts):
            each.die()
        self.switch.end()


@contextmanager
def rig() -> Iterator[Rig]:
    """A network without hosts. Skips the test where the kernel makes no namespaces: that is no
    fault of what is tested."""
    trial = "ip link add name one type bridge && ip link add name two type veth peer name three"
    try:
        command = [*_WITH_PARENT, *_APART, "sh", "-c", trial]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        pytest.skip(f"this machine makes no hosts: {' '.join(reason.split())}")
    made = Rig()
    try:
        yield made
    finally:
        made.end()
