# SPDX-License-Identifier: MIT
"""Contenders of a benchmark: each in a process of its own, timed in turn, never at the same time.

A contender is an object with run() (one unit of work), made inside its process by a function that
can be pickled. Runtimes so share no threads, and a crash costs one cell of the table.
"""
import multiprocessing
import statistics
import time


def slice_of(engine, seconds):
    """Median milliseconds of the runs that fit into `seconds`, at least three."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        engine.run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def serve(connection, make, args):
    """The process: makes the contender, warms it up, says what run() returned, then times slices."""
    try:
        engine = make(*args)
        for _ in range(2):
            result = engine.run()
        connection.send((True, result))
        while (seconds := connection.recv()) is not None:
            connection.send((True, slice_of(engine, seconds)))
    except Exception as error:  # sent to the parent, which reports it
        connection.send((False, str(error) or repr(error)))


class Contender:
    """`first` is what run() returned once. RuntimeError: it could not be made, failed or crashed."""

    def __init__(self, make, *args):
        context = multiprocessing.get_context("spawn")
        self.connection, far = context.Pipe()
        self.process = context.Process(target=serve, args=(far, make, args), daemon=True)
        self.process.start()
        far.close()
        self.first = self.answer()

    def answer(self):
        try:
            good, value = self.connection.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"crashed with exit code {self.process.exitcode}") from None
        if not good:
            self.process.join()
            raise RuntimeError(value)
        return value

    def slice(self, seconds):
        self.connection.send(seconds)
        return self.answer()

    def close(self):
        self.connection.send(None)
        self.process.join()


def alternate(contenders, rounds, seconds, pause):
    """Milliseconds by title, one value per round; who begins changes from round to round."""
    times = {title: [] for title in contenders}
    titles = list(contenders)
    for number in range(rounds):
        turn = number % len(titles)
        for title in titles[turn:] + titles[:turn]:
            time.sleep(pause)
            times[title].append(contenders[title].slice(seconds))
    return times


def ratio(times, title, base="ours"):
    """How many times longer `title` took: the median of the rounds' ratios."""
    return statistics.median(peer / ours for peer, ours in zip(times[title], times[base]))
