"""A host that speaks as MLPerf Tiny's runner does, in words of our own: commands end in '%', an answer ends with the line m-ready.

What it sends and what it looks for in answers follows https://github.com/mlcommons/tiny, benchmark/runner.
"""

import queue
import re
import threading

import serial

from edgebn.link.port import open_port

BYTES_A_COMMAND, WITH_A_POWER_BOARD = 31, 26
SECONDS = 120.0  # until an answer has failed to come; far beyond what any takes


class Runner:
    """A device under test at the end of `url`; lines are gathered by a thread, as the runner does it.

    The banner is read first. The runner does not: it takes a banner's m-ready for the answer to its first command, so it is started
    when the board has been.
    """

    def __init__(self, url, *, energy=False):
        self._port = open_port(url, baud=9600 if energy else 115200, timeout=0.1)
        self._bytes = WITH_A_POWER_BOARD if energy else BYTES_A_COMMAND
        self._lines = queue.Queue()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._gather)

    def __enter__(self):
        self._thread.start()
        self.banner = self._answer("the banner")
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()
        self._port.close()

    def _gather(self):
        line = b""
        while not self._ends.is_set():
            try:
                byte = self._port.read(1)
            except serial.SerialException:
                return
            if byte == b"\n":
                self._lines.put(line.decode("ascii"))
                line = b""
            elif byte not in {b"", b"\r", b"\0"}:
                line += byte

    def _answer(self, command):
        lines = []
        while not lines or "m-ready" not in lines[-1]:
            try:
                lines.append(self._lines.get(timeout=SECONDS))
            except queue.Empty:
                raise RuntimeError(f"no response to {command}: {lines}") from None
        return lines[:-1]

    def send(self, command):
        """Return the lines of the answer, without m-ready."""
        self._port.write(f"{command}%".encode())
        return self._answer(command)

    def name(self):
        return self._first(r"m-name-dut-\[([^]]+)]", self.send("name"))

    def profile(self):
        lines = self.send("profile")
        return self._first(r"m-profile-\[([^]]+)]", lines), self._first(r"m-model-\[([^]]+)]", lines)

    def load(self, data):
        answer = self.send(f"db load {len(data)}")
        for start in range(0, len(data), self._bytes):
            answer = self.send("db " + data[start : start + self._bytes].hex())
        return answer

    def infer(self, number, warm_ups):
        """Return (results, microseconds)."""
        lines = self.send(f"infer {number} {warm_ups}")
        times = [int(found[1]) for line in lines if (found := re.fullmatch(r"m-lap-us-([0-9]+)", line))]
        results = self._first(r"m-results-\[([^]]+)\]", lines)
        assert len(times) == 2, lines
        return [float(value) for value in results.split(",")], times[1] - times[0]

    @staticmethod
    def _first(pattern, lines):
        found = [match[1] for line in lines if (match := re.fullmatch(pattern, line))]
        assert found, lines
        return found[0]
