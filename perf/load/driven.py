"""One run of a load generator: what it printed, and the CPU time that it cost, its own and the server's."""

import os
import resource
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
CORES = len(os.sched_getaffinity(0))


class Failed(Exception):
    """The generator ended with an error; its last words."""


def _machine_idle_seconds():
    """Of all cores, since the machine began."""
    fields = open("/proc/stat").readline().split()
    return (int(fields[4]) + int(fields[5])) / TICK


def _generator_seconds():
    """User and system time of the children that have been waited for: no server is among them while it runs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Driven:
    """Runs the command to its end; the CPU time that passed meanwhile."""

    def __init__(self, server, command, environment):
        wall, idle, generator, served = time.monotonic(), _machine_idle_seconds(), _generator_seconds(), server.cpu_seconds()
        done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
        self.server_seconds = server.cpu_seconds() - served
        self.generator_seconds = _generator_seconds() - generator
        available = (time.monotonic() - wall) * CORES
        self.idle_share = (_machine_idle_seconds() - idle) / available
        self.others_share = 1 - self.idle_share - (self.server_seconds + self.generator_seconds) / available
        self.returncode, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr

    def failed(self):
        """An error with the last words."""
        return Failed((self.stderr.strip() or self.stdout.strip())[-400:])

    def per_request(self, count):
        """CPU microseconds a request, and how busy the cores were: with these requests, and with what else ran."""
        count = max(count, 1)
        return {
            "server_cpu_us": self.server_seconds / count * 1e6,
            "client_cpu_us": self.generator_seconds / count * 1e6,
            "idle_share": self.idle_share,
            "others_share": self.others_share,
        }
