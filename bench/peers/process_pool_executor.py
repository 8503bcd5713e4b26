#!/usr/bin/env python3
"""The rows of the process-pool table, measured with concurrent.futures.ProcessPoolExecutor and multiprocessing.Pool.

Usage: process_pool_executor.py ROW KIND WORKERS COUNT
Prints lines "NAME VALUE"; or "not_measured TEXT", what was observed instead.
KIND: python_fork, python_forkserver, python_spawn (executors), python_mp_pool (multiprocessing.Pool, forked)
"""

import collections
import math
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory

now = time.perf_counter_ns


class NotMeasured(Exception):
    """Says what was observed instead."""


def quantiles(samples_ns):
    samples = sorted(samples_ns)

    def at(q):
        return samples[max(math.ceil(q * len(samples)), 1) - 1] / 1e3

    return {"p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": at(1)}


class Executor:
    def __init__(self, method, workers):
        self.pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))

    def submit(self, f, *args):
        return self.pool.submit(f, *args).result

    def map(self, f, items, chunk):
        return self.pool.map(f, items, chunksize=chunk)

    def pids(self):
        return list(self.pool._processes)

    def end(self):
        self.pool.shutdown()


class Pool:
    def __init__(self, workers):
        self.pool = multiprocessing.get_context("fork").Pool(workers)

    def submit(self, f, *args):
        return self.pool.apply_async(f, args).get

    def map(self, f, items, chunk):
        return self.pool.imap(f, items, chunksize=chunk)

    def pids(self):
        return [process.pid for process in self.pool._pool]

    def end(self):
        self.pool.close()
        self.pool.join()


def start(kind, workers):
    return Pool(workers) if kind == "python_mp_pool" else Executor(kind.removeprefix("python_"), workers)


def process(_=None):
    return os.getpid()


def process_with(size, data):
    return os.getpid() if len(data) == size else -1


attached = {}


def look(name, expected):
    """The worker attaches to the memory once; the task reads its first and last byte."""
    if name not in attached:
        attached[name] = shared_memory.SharedMemory(name)
    data = attached[name].buf
    return os.getpid() if data[0] == data[len(data) - 1] == expected else -1


def pin(cpus):
    os.sched_setaffinity(0, cpus)


def take_20ms():
    end = now() + 20_000_000
    while now() < end:
        pass


def round_trip(kind, count, pause_s, payload=None):
    elsewhere, samples, me = 0, [], os.getpid()
    pool = start(kind, 1)
    cpus = sorted(os.sched_getaffinity(0))
    pool.submit(pin, {cpus[-1]})()
    pin({cpus[0]})
    for i in range(count + count // 10):
        if pause_s:
            time.sleep(pause_s)
        begin = now()
        ran_in = pool.submit(process)() if payload is None else pool.submit(process_with, len(payload), payload)()
        if i >= count // 10:
            samples.append(now() - begin)
            elsewhere += ran_in not in (me, -1)
    pool.end()
    return quantiles(samples) | {"elsewhere": elsewhere / count}


def round_trip_hot(kind, workers, count):
    return round_trip(kind, count, 0)


def round_trip_spaced(kind, workers, count):
    return round_trip(kind, count, 0.001)


def argument_1mib(kind, workers, count):
    return round_trip(kind, count, 0, bytes(1 << 20))


def argument_16mib(kind, workers, count):
    return round_trip(kind, count, 0, bytes(16 << 20))


def shared_16mib(kind, workers, count):
    elsewhere, samples, me = 0, [], os.getpid()
    # before the workers, so that forked ones share the tracker of such memory and do not complain
    shared = shared_memory.SharedMemory(create=True, size=16 << 20)
    pool = start(kind, 1)
    cpus = sorted(os.sched_getaffinity(0))
    pool.submit(pin, {cpus[-1]})()
    pin({cpus[0]})
    for i in range(count + count // 10):
        mark = i % 256
        shared.buf[0] = shared.buf[len(shared.buf) - 1] = mark
        begin = now()
        ran_in = pool.submit(look, shared.name, mark)()
        if i >= count // 10:
            samples.append(now() - begin)
            elsewhere += ran_in not in (me, -1)
    pool.end()
    shared.close()
    shared.unlink()
    return quantiles(samples) | {"elsewhere": elsewhere / count}


def timed(kind, workers, count, run):
    pool = start(kind, workers)
    me = os.getpid()
    run(pool)
    begin = now()
    elsewhere = sum(pid != me for pid in run(pool))
    result = {"ns": (now() - begin) / count, "elsewhere": elsewhere / count}
    pool.end()
    return result


def stream(kind, workers, count):
    """Every task is submitted and waited for by itself, 1024 in flight."""

    def run(pool):
        ran_in, in_flight = [], collections.deque()
        for _ in range(count):
            if len(in_flight) == 1024:
                ran_in.append(in_flight.popleft()())
            in_flight.append(pool.submit(process))
        return ran_in + [result() for result in in_flight]

    return timed(kind, workers, count, run)


def stream_in_chunks(kind, workers, count):
    return timed(kind, workers, count, lambda pool: list(pool.map(process, range(count), 100)))


def behind_long_task(kind, workers, count):
    samples = []
    pool = start(kind, workers)
    for result in [pool.submit(process) for _ in range(100)]:
        result()
    for _ in range(count):
        begin = now()
        long_one = pool.submit(take_20ms)
        for result in [pool.submit(process) for _ in range(20)]:
            result()
        samples.append(now() - begin)
        long_one()
    pool.end()
    return quantiles(samples)


def start_stop(kind, workers, count):
    starts, stops = [], []
    for _ in range(count):
        begin = now()
        pool = start(kind, workers)
        results = [pool.submit(process) for _ in range(workers)]  # executors start a process for a task that needs one
        results[0]()
        started = now()
        for result in results:
            result()
        stopping = now()
        pool.end()
        starts.append(started - begin)
        stops.append(now() - stopping)
    begun, stopped = quantiles(starts), quantiles(stops)
    return {"p50_us": begun["p50_us"], "p99_us": begun["p99_us"], "max_us": begun["max_us"],
            "stop_p50_us": stopped["p50_us"]}


def replace(kind, workers, count):
    """From the kill of the only worker to a result of another process; an executor that is broken is made anew by hand."""
    patience_s = 3
    samples = []
    pool = start(kind, 1)
    pool.submit(process)()
    for i in range(count):
        old = pool.pids()[0]
        begin = now()
        os.kill(old, signal.SIGKILL)
        while True:
            try:
                if pool.submit(process)(patience_s) != old:
                    break
            except RuntimeError:
                pool.end()
                pool = start(kind, 1)
            except (TimeoutError, multiprocessing.TimeoutError) as e:
                there = "another worker was there" if set(pool.pids()) - {old} else "no other worker was there"
                raise NotMeasured(f"no result within {patience_s} s of kill number {i + 1}; {there}") from e
        samples.append(now() - begin)
    pool.end()
    return quantiles(samples)


def memory(kind, workers, count):
    pool = start(kind, workers)
    for result in [pool.submit(process) for _ in range(count)]:
        result()
    totals = collections.Counter()
    for pid in pool.pids():
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            for line in rollup:
                name, _, rest = line.partition(":")
                if name in ("Rss", "Pss", "Private_Dirty"):
                    totals[name] += int(rest.split()[0])
    found = len(pool.pids())
    pool.end()
    return {"pss_kib": totals["Pss"] / found, "private_dirty_kib": totals["Private_Dirty"] / found,
            "rss_kib": totals["Rss"] / found}


def main():
    row, kind, workers, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    try:
        for name, value in globals()[row](kind, workers, count).items():
            print(name, value)
    except NotMeasured as e:
        print("not_measured", e, flush=True)
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(0)  # a pool that hangs would keep the interpreter from ending


if __name__ == "__main__":
    main()
