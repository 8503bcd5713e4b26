#!/usr/bin/env python3
"""The rows of the thread-pool table, measured with concurrent.futures.ThreadPoolExecutor.

Usage: thread_pool_executor.py ROW WORKERS COUNT    prints lines "NAME VALUE"
"""

import math
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

now = time.perf_counter_ns


def quantiles(samples_ns):
    samples = sorted(samples_ns)

    def at(q):
        return samples[max(math.ceil(q * len(samples)), 1) - 1] / 1e3

    return {"p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": at(1)}


def nothing():
    pass


def pin(cpus):
    os.sched_setaffinity(0, cpus)  # the calling thread, on Linux


def round_trip(workers, count, pause_s):
    elsewhere, samples = 0, []
    me = threading.get_ident()
    with ThreadPoolExecutor(workers) as pool:
        if workers == 1:  # the caller on one core, the worker on another
            cpus = sorted(os.sched_getaffinity(0))
            pool.submit(pin, {cpus[-1]}).result()
            pin({cpus[0]})
        for i in range(count + count // 10):
            if pause_s:
                time.sleep(pause_s)
            start = now()
            ran_on = pool.submit(threading.get_ident).result()
            if i >= count // 10:
                samples.append(now() - start)
                elsewhere += ran_on != me
    return quantiles(samples) | {"elsewhere": elsewhere / count}


def round_trip_hot(workers, count):
    return round_trip(workers, count, 0)


def round_trip_spaced(workers, count):
    return round_trip(workers, count, 0.001)


def timed(run, count):
    """Nanoseconds a task; the first run is a warm-up."""
    run()
    start = now()
    run()
    return {"ns": (now() - start) / count}


class Countdown:
    """Becomes set when it has been called `count` times."""

    def __init__(self, count):
        self.left = count
        self.lock = threading.Lock()
        self.done = threading.Event()

    def __call__(self, *_):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.done.set()


def one_producer(workers, count):
    with ThreadPoolExecutor(workers) as pool:

        def run():
            countdown = Countdown(count)
            for _ in range(count):
                pool.submit(countdown)
            countdown.done.wait()

        return timed(run, count)


def two_producers(workers, count):
    with ThreadPoolExecutor(workers) as pool:

        def run():
            countdown = Countdown(count)

            def produce():
                for _ in range(count // 2):
                    pool.submit(countdown)

            other = threading.Thread(target=produce)
            other.start()
            produce()
            other.join()
            countdown.done.wait()

        return timed(run, count // 2 * 2)


def futures_kept(workers, count):
    with ThreadPoolExecutor(workers) as pool:

        def run():
            for future in [pool.submit(nothing) for _ in range(count)]:
                future.result()

        return timed(run, count)


def spawn_flat(workers, count):
    with ThreadPoolExecutor(workers) as pool:

        def run():
            countdown = Countdown(count)

            def root():
                for _ in range(count):
                    pool.submit(countdown)

            pool.submit(root)
            countdown.done.wait()

        return timed(run, count)


def spawn_tree(workers, count):
    levels = count.bit_length()
    nodes = 2**levels - 1
    with ThreadPoolExecutor(workers) as pool:

        def run():
            countdown = Countdown(nodes)

            def node(below):
                if below:
                    pool.submit(node, below - 1)
                    pool.submit(node, below - 1)
                countdown()

            pool.submit(node, levels - 1)
            countdown.done.wait()

        return timed(run, nodes)


def callback(workers, count):
    with ThreadPoolExecutor(workers) as pool:

        def run():
            countdown = Countdown(count)
            for _ in range(count):
                pool.submit(nothing).add_done_callback(countdown)
            countdown.done.wait()

        return timed(run, count)


def idle_cpu(workers, count):
    """CPU time in 5 s, from a sample of `count` milliseconds."""
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(nothing) for _ in range(1000)]:
            future.result()
        time.sleep(0.1)

        def workers_time():
            return time.process_time_ns() - time.thread_time_ns()

        start = workers_time()
        time.sleep(count / 1e3)
        return {"cpu_ms": (workers_time() - start) / 1e6 * (5000 / count)}


def many_workers(workers, count):
    starts, stops = [], []
    for _ in range(count):
        everybody = threading.Barrier(workers)  # a thread is started only for a task that finds no idle one
        begin = now()
        pool = ThreadPoolExecutor(workers)
        futures = [pool.submit(everybody.wait) for _ in range(workers)]
        futures[0].result()
        started = now()
        pool.shutdown()
        starts.append(started - begin)
        stops.append(now() - started)
    start, stop = quantiles(starts), quantiles(stops)
    return {"p50_us": start["p50_us"], "p99_us": start["p99_us"], "stop_p50_us": stop["p50_us"], "stop_p99_us": stop["p99_us"]}


def behind_backlog(workers, count):
    stop = threading.Event()
    samples = []
    with ThreadPoolExecutor(workers) as pool:

        def load():
            end = now() + 1_000_000
            while now() < end:
                pass
            if not stop.is_set():
                pool.submit(load)

        for _ in range(200):
            pool.submit(load)
        time.sleep(0.05)
        for _ in range(count):
            start = now()
            samples.append(pool.submit(now).result() - start)
        stop.set()
    return quantiles(samples) | {"never": 0}


def nested_wait(workers, count):
    pool = ThreadPoolExecutor(workers)
    futures = [pool.submit(lambda: pool.submit(nothing).result()) for _ in range(count)]
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and not all(f.done() for f in futures):
        time.sleep(0.001)
    return {"finished": sum(f.done() for f in futures)}


def main():
    row, workers, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for name, value in globals()[row](workers, count).items():
        print(name, value)
    sys.stdout.flush()
    os._exit(0)  # a pool that hangs would keep the interpreter from ending


if __name__ == "__main__":
    main()
