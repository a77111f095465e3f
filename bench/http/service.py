# SPDX-License-Identifier: MIT
"""A worker as a child process on a free loopback port: start, wait until it answers, watch, stop."""
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

BOUNDARY = "face-bench"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(photo):
    """The body of a POST /detect."""
    head = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{photo.name}"\r\n'
            "Content-Type: image/jpeg\r\n\r\n").encode()
    return head + photo.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    """User and system time of a running process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Service:
    """Runs `command` plus the flags for host and port until stop()."""

    def __init__(self, command):
        self.port = free_port()
        self.begin = time.perf_counter()
        words = [*map(str, command), "--host", "127.0.0.1", "--port", str(self.port)]
        try:
            self.process = subprocess.Popen(words)
        except OSError as error:
            sys.exit(f"{words[0]}: cannot be started: {error.strerror}")
        try:
            self.health = self.await_ready()
        except BaseException:
            self.stop()
            raise

    def await_ready(self):
        """The health answer. Ends the program if the worker ends first."""
        while self.process.poll() is None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = json.loads(answer.read())
                if answer.status == 200 and body["status"] in ("healthy", "untrained"):
                    return body
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        return sys.exit(f"the worker has ended: {self.process.args}")

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def resident(self):
        return resident_mib(self.process.pid)

    def stop(self):
        """Its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def ours(worker, model, flags):
    return Service([worker, "--model", model, "--log-level", "warning", "--drain-delay", "0", *flags])


def reference(folder, threads):
    script = Path(__file__).with_name("reference_worker.py")
    return Service([sys.executable, script, "--models", folder, "--threads", threads])
