"""One command and its whole process tree, measured: wall and CPU seconds, peak memory, and how busy the others were.

    python benchmarks/measure.py [--label NAME] [--timeout 3600] -- COMMAND...

Prints one JSON line and exits as the command did. Linux only: the measuring process adopts orphans of the tree
(PR_SET_CHILD_SUBREAPER), so that a JVM that outlives the Python which started it is counted, too.

  wall_s        from start to the command's exit
  cpu_s         user and system seconds of every process of the tree, each as sampled last. The kernel's sum for a
                command and its children would lack Spark's Python workers: their parent doesn't wait for them
  peak_pss_mb   highest sum of the tree's memory, 10^6 bytes, sampled four times a second: resident pages, of which
                those that processes share, as forked Python workers do, are split among them (the kernel's PSS)
  other_cores   mean number of cores that everybody else kept busy meanwhile: 0 on a quiet machine
  reported      the command's last line, where it is a JSON object
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_S = 0.05
SAMPLES_A_LOOK = 5
"""The kernel walks through all pages to tell a process's memory: it is asked at every fifth sample."""
ORPHANS_S = 30.0
"""How long a JVM may take to end after the command that started it."""


@dataclass(frozen=True)
class Measurement:
    """What one command cost."""

    label: str
    exit_code: int
    wall_s: float
    cpu_s: float
    peak_pss_mb: int
    other_cores: float
    reported: dict[str, object]


def measure(
    command: Sequence[str], *, label: str = "", timeout_s: float = 3600, environment: Mapping[str, str] | None = None
) -> Measurement:
    """Measure a command in a process of its own, which has no other children to tell apart; pass its errors on."""
    this_file = str(Path(__file__).resolve())
    arguments = [sys.executable, this_file, "--label", label, "--timeout", str(timeout_s), "--", *command]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if not done.stdout.strip():
        raise RuntimeError(f"expected a measurement of {' '.join(command)}, found none; exit code {done.returncode}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


class TreeWatch(threading.Thread):
    """Samples the memory and the CPU seconds of this process's descendants."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._cpu_s: dict[psutil.Process, float] = {}
        self._end = threading.Event()

    @property
    def cpu_s(self) -> float:
        """User and system seconds of every process seen, also of those that have ended."""
        return sum(self._cpu_s.values())

    def run(self) -> None:
        this, samples = psutil.Process(), 0
        while not self._end.wait(SAMPLE_S):
            samples += 1
            total = 0
            for process in this.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    times = process.cpu_times()
                    self._cpu_s[process] = times.user + times.system
                    if samples % SAMPLES_A_LOOK == 0:
                        total += process.memory_full_info().pss
            self.peak_bytes = max(self.peak_bytes, total)

    def stop(self) -> None:
        self._end.set()
        self.join()


def busy_core_seconds() -> float:
    """Seconds that all cores together were busy since the machine started."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "irq", 0) + getattr(times, "softirq", 0))


def measure_here(command: Sequence[str], label: str, timeout_s: float) -> Measurement:
    """Run the command as the only child of this process and measure it."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot adopt orphans (prctl)")
    watch = TreeWatch()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        busy, started = busy_core_seconds(), time.perf_counter()
        process = subprocess.Popen(command, stdout=output, start_new_session=True)
        watch.start()
        killer = threading.Timer(timeout_s, os.killpg, (process.pid, signal.SIGKILL))
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        killer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        waited_for_s = usage.ru_utime + usage.ru_stime + _wait_for_orphans()
        watch.stop()
        cpu_s = max(watch.cpu_s, waited_for_s)  # a process shorter than a sample is in the kernel's sum alone
        others = (busy_core_seconds() - busy - cpu_s) / (time.perf_counter() - started)
        output.seek(0)
        reported = _last_json_object(output.read())
    peak_mb = round(watch.peak_bytes / 1e6)
    return Measurement(
        label, process.returncode, round(wall_s, 3), round(cpu_s, 3), peak_mb, round(max(0.0, others), 2), reported
    )


def _wait_for_orphans() -> float:
    """Wait until every adopted process has ended; return their CPU seconds."""
    cpu_s, deadline = 0.0, time.monotonic() + ORPHANS_S
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return cpu_s
        if pid:
            cpu_s += usage.ru_utime + usage.ru_stime
        elif time.monotonic() < deadline:
            time.sleep(SAMPLE_S)
        else:
            for left in psutil.Process().children(recursive=True):
                left.kill()
            raise TimeoutError(f"processes of the command still ran {ORPHANS_S:.0f} s after its end and were killed")


def _last_json_object(text: str) -> dict[str, object]:
    lines = text.splitlines()
    try:
        value = json.loads(lines[-1]) if lines else {}
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--label", default="")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds; default %(default)s")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    measurement = measure_here(arguments.command, arguments.label, arguments.timeout)
    print(json.dumps(asdict(measurement)), flush=True)
    sys.exit(measurement.exit_code if measurement.exit_code >= 0 else 128 - measurement.exit_code)


if __name__ == "__main__":
    main()
