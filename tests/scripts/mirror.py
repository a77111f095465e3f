# SPDX-License-Identifier: MIT
"""A mirror with the faults that servers have: mirror.py FOLDER LOG, on 127.0.0.1, prints its port.

The first part of a path says how FOLDER/NAME is served, e.g. /cut/NAME:
    plain   without ranges
    ranges  with ranges
    cut     with ranges; a third of the file, then the connection breaks
    stall   as cut to the first request, but the connection stands still; then as ranges
    busy    503 to the first request, then as ranges
LOG gets a line per request: path, and its Range or "-". Ends by itself after a minute.
"""
import collections
import contextlib
import http.server
import os
import pathlib
import sys
import threading
import time

FOLDER, LOG = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
seen = collections.Counter()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *arguments):
        pass

    def refuse(self, status):
        self.send_response(status)
        self.end_headers()

    def do_GET(self):
        wanted = self.headers.get("Range", "-")
        with LOG.open("a") as log:
            log.write(f"{self.path} {wanted}\n")
        seen[self.path] += 1
        way, _, name = self.path.strip("/").partition("/")
        file = FOLDER / name
        if not file.is_file():
            return self.refuse(404)
        if way == "busy" and seen[self.path] == 1:
            return self.refuse(503)
        data = file.read_bytes()
        begin = 0 if way == "plain" or wanted == "-" else int(wanted.removeprefix("bytes=").rstrip("-"))
        if begin >= len(data):
            return self.refuse(416)
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        stalls = way == "stall" and seen[self.path] == 1
        part = len(data) // 3 + 1 if way == "cut" or stalls else len(data)
        with contextlib.suppress(OSError):  # who refuses the answer hangs up
            self.wfile.write(data[begin:begin + part])
            self.wfile.flush()
        if stalls:
            time.sleep(20)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Timer(60, os._exit, (1,)).start()
print(server.server_address[1], flush=True)
server.serve_forever()
