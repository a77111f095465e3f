# SPDX-License-Identifier: MIT
"""Requests to a worker on the loopback interface: a closed loop, or an open one with Poisson arrivals.

An open loop sends when its schedule says so, whether or not earlier answers have come; latency
counts from the scheduled moment, so a worker that falls behind cannot hide it. Both are bounded.
"""
import asyncio
import itertools
import random
import time

import service

TIMEOUT = 20  # seconds; a request that takes longer is an error


class Result:
    """Latencies in seconds of answers with status 200; what else came, by status or error name."""

    def __init__(self):
        self.seconds, self.errors, self.lateness = [], {}, []
        self.wall = 0.0

    def count_error(self, what):
        self.errors[str(what)] = self.errors.get(str(what), 0) + 1

    @property
    def failed(self):
        return sum(self.errors.values())


class Connections:
    """Keep-alive connections to one port, opened as they are needed."""

    def __init__(self, port):
        self.port, self.idle = port, []

    async def post(self, body):
        """Posts to /detect; the status. A kept connection that the worker has closed meanwhile, as
        servers do with idle ones, is replaced."""
        while self.idle:
            reader, writer = self.idle.pop()
            try:
                return await self.exchange(reader, writer, body)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if getattr(error, "partial", b""):
                    raise
        return await self.exchange(*await self.open(), body)

    async def exchange(self, reader, writer, body):
        try:
            head = (f"POST /detect HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                    f"{service.HEADERS['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n")
            writer.write(head.encode() + body)
            status, keep = await self.read_answer(reader)
        except BaseException:
            writer.close()
            raise
        if keep:
            self.idle.append((reader, writer))
        else:
            writer.close()
        return status

    async def open(self):
        return await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)

    @staticmethod
    async def read_answer(reader):
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(":", 1) for line in lines[1:] if ":" in line)
        await reader.readexactly(int(headers["content-length"]))
        return int(lines[0].split()[1]), headers.get("connection", "").strip() != "close"

    def close(self):
        for _, writer in self.idle:
            writer.close()


async def send(connections, body, begin, result):
    try:
        status = await asyncio.wait_for(connections.post(body), TIMEOUT)
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
        result.count_error(type(error).__name__)
        return
    if status == 200:
        result.seconds.append(time.perf_counter() - begin)
    else:
        result.count_error(status)


async def closed(port, bodies, clients, requests, seconds):
    result, connections = Result(), Connections(port)
    numbers = iter(range(requests)) if requests else itertools.count()
    begin = time.perf_counter()

    async def client():
        for number in numbers:
            if seconds and time.perf_counter() - begin > seconds:
                return
            await send(connections, bodies[number % len(bodies)], time.perf_counter(), result)

    await asyncio.gather(*(client() for _ in range(clients)))
    result.wall = time.perf_counter() - begin
    connections.close()
    return result


async def opened(port, bodies, rate, seconds, seed):
    result, connections, tasks = Result(), Connections(port), []
    gaps, begin = random.Random(seed), time.perf_counter()
    due = begin + gaps.expovariate(rate)
    for number in itertools.count():
        if due > begin + seconds:
            break
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        result.lateness.append(time.perf_counter() - due)
        body = bodies[number % len(bodies)]
        tasks.append(asyncio.create_task(send(connections, body, due, result)))
        due += gaps.expovariate(rate)
    await asyncio.gather(*tasks)
    result.wall = time.perf_counter() - begin
    connections.close()
    return result


def closed_loop(port, bodies, clients, requests=0, seconds=0.0):
    """`clients` that each wait for their answer before they send again, until `requests` were sent
    or `seconds` are over; one of both must be given."""
    assert requests or seconds
    return asyncio.run(closed(port, bodies, clients, requests, seconds))


def open_loop(port, bodies, rate, seconds, seed=1):
    """`rate` requests per second on average, at random moments, for `seconds`."""
    return asyncio.run(opened(port, bodies, rate, seconds, seed))
