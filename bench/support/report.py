#!/usr/bin/env python3
"""Prints the results of the benchmark programs as one table: medians over the rounds, with ratios to what the machine
can do at best and to the best other contestant.

Usage: report.py [--json FILE] RESULT.json...    results as Google Benchmark writes them, of one run
"""

import argparse
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path

SUBJECT = "remuda"


@dataclass
class Row:
    title: str
    columns: list  # what is shown; the first one is compared
    aims: dict = field(default_factory=dict)  # column: at most this
    aim_of_limit: float = 0  # the first column: at most so many limits
    aim_over: tuple = ()  # (contestant, amount), the first column: at most so much more than that contestant's
    limit: str = ""  # ROW/CONTESTANT of the limits, in the unit of the first column
    at_least: bool = False  # the aim is a lower bound, and the best is the largest
    note: str = ""

    def is_limit(self, row, contestant):
        return self.limit == f"{row}/{contestant}"


DELAYS = ["p50_us", "p99_us", "p999_us", "max_us"]
TWO_LINES = "cache_line_round_trip/two_lines"
QUEUE = "moodycamel_item/plain"
ATOMIC = "lock_cmpxchg/limit"

ROWS = {
    "round_trip_hot": Row("round trip, hot, one worker, on the other core", DELAYS + ["elsewhere"],
                          {"p50_us": 0.35, "p99_us": 2}, limit=TWO_LINES),
    "round_trip_hot_2_workers": Row("round trip, hot, two workers, nobody placed by hand", DELAYS + ["elsewhere"],
                                    limit=TWO_LINES),
    "round_trip_1ms": Row("round trip, 1 ms apart, on the other core", DELAYS + ["elsewhere"],
                          {"p50_us": 19, "p99_us": 26}, limit="wake_to_run/after_1ms"),
    "round_trip_1ms_parked": Row("round trip, 1 ms apart, both sides asleep", DELAYS + ["elsewhere"], aim_of_limit=1.05,
                                 limit="futex_round_trip/after_1ms"),
    "round_trip_1ms_helping": Row("round trip, 1 ms apart, the waiter may run the task", DELAYS + ["elsewhere"],
                                  {"p50_us": 12}, limit="futex_wake_call/after_1ms"),
    "behind_backlog": Row("from outside, behind 200 tasks of 1 ms that queue themselves again, 2 workers",
                          ["p50_us", "p999_us", "max_us", "never"], {"p999_us": 105_000}),
    "behind_backlog_from_inside": Row("the same, when a task of the pool starts the 200",
                                      ["p50_us", "p999_us", "max_us", "never"], {"p999_us": 105_000}),
    "one_producer": Row("one producer, 1 worker, a task", ["ns"], {"ns": 45}, limit=QUEUE),
    "one_producer_2_workers": Row("one producer, 2 workers, a task", ["ns"], {"ns": 45}, limit=QUEUE),
    "two_producers": Row("two producers, 2 workers, a task", ["ns"], {"ns": 35}, limit=QUEUE),
    "futures_kept": Row("futures kept, then all waited for, a task", ["ns"], {"ns": 120}, limit=QUEUE),
    "spawn_flat": Row("spawned inside, by one task, a task", ["ns"], {"ns": 25}, limit=ATOMIC),
    "spawn_tree": Row("spawned inside, two by each, a task", ["ns"], {"ns": 10}, limit=ATOMIC),
    "callback": Row("callback on completion, a task", ["ns"], {"ns": 120}, limit=QUEUE),
    "allocations": Row("heap calls a submit, after warm-up", ["per_submit"], {"per_submit": 0},
                       note="what a library's own allocator recycles is not counted"),
    "idle_cpu": Row("idle, CPU time of the workers in 5 s", ["cpu_ms"], {"cpu_ms": 0.1}),
    "many_workers": Row("64 workers: start to first result, and stop", ["p50_us", "p99_us", "stop_p50_us", "stop_p99_us"],
                        {"p50_us": 1500, "stop_p50_us": 1000}, note="python starts a thread for a task that needs one: it gets 64 tasks that wait for each other"),
    "nested_wait": Row("8 tasks that wait for a child, 2 workers: how many end", ["finished"], {"finished": 8},
                       at_least=True),
    "process_round_trip_hot": Row("process pool: round trip of an empty task, hot, on the other core",
                                  DELAYS + ["elsewhere"], aim_of_limit=2, limit="process_round_trip_hot/shm_ring"),
    "process_round_trip_parked": Row("process pool: round trip, 1 ms apart, both sides asleep", DELAYS + ["elsewhere"],
                                     aim_of_limit=1.1, limit="process_round_trip_parked/shm_futex"),
    "process_behind_long_task": Row("process pool: 20 empty tasks behind one of 20 ms, 2 workers, until the last is done",
                                    DELAYS),
    "process_stream": Row("process pool: many in flight, 1 worker, a task", ["ns", "elsewhere"], {"ns": 200},
                          limit="process_stream/shm_ring",
                          note="every task is submitted and its result taken by itself, except in those called chunks"),
    "process_stream_2_workers": Row("process pool: many in flight, 2 workers, a task", ["ns", "elsewhere"]),
    "process_argument_1mib": Row("process pool: an argument of 1 MiB, until the task that got it has answered",
                                 DELAYS + ["elsewhere"], aim_of_limit=1.5, limit="process_argument_1mib/memcpy",
                                 note="the limit is one copy inside one process; shm_ring passes it through chunks of "
                                 "64 KiB; making the argument is not counted"),
    "process_argument_16mib": Row("process pool: a shared buffer of 16 MiB as argument, until the task that looked at "
                                  "its first and last byte has answered", DELAYS + ["elsewhere"],
                                  aim_over=("remuda_no_argument", 2),
                                  limit="process_argument_16mib/shm_ring_no_argument",
                                  note="the caller has just changed both bytes; the buffer is the same each time, but "
                                  "in remuda_new_each_time, whose worker falls asleep while it is made and filled; "
                                  "no_argument is the plain round trip; those called copied and pickled pass a copy, "
                                  "which is another thing, and memcpy is one copy inside one process"),
    "process_start": Row("process pool: start of 2 workers to the first result, and stop",
                         ["p50_us", "p99_us", "max_us", "stop_p50_us"], {"p50_us": 5000},
                         limit="process_start/fork_twice",
                         note="exec_own_and_end executes this program and waits for its end: part of what remuda does"),
    "process_replace": Row("process pool: from the kill of the only worker to a result of another one", DELAYS,
                           {"p50_us": 1000}, limit="process_replace/fork",
                           note="Python's executors are broken then: a new one is made by hand; fork is a kill, a fork and a first answer"),
    "process_memory": Row("process pool: memory of a worker", ["private_dirty_kib", "pss_kib", "rss_kib"],
                          limit="process_memory/fork"),
    "reuse_vs_spawn": Row("an empty task, from a plain call to a program executed for it",
                          ["p50_us", "p99_us", "max_us", "even_at_us", "tenth_at_us", "elsewhere"],
                          note="both from p50; even at: from this length on two tasks, one done there and one meanwhile "
                          "here, are done sooner than both here; tenth at: from this length on the cost is at most a tenth "
                          "of the whole"),
}


@dataclass
class Result:
    rounds: dict = field(default_factory=dict)  # column: values, one a round
    missing: str = ""  # why it was not measured, the last time
    times_missing: int = 0

    def median(self, column):
        return statistics.median(self.rounds[column]) if column in self.rounds else None

    def spread(self, column):
        return min(self.rounds[column]), max(self.rounds[column])


def read(files):
    """{row: {contestant: Result}}, in the order measured."""
    rows = {}
    for file in files:
        for run in json.loads(Path(file).read_text())["benchmarks"]:
            row, contestant, _ = run["name"].split("/", 2)
            result = rows.setdefault(row, {}).setdefault(contestant, Result())
            if run.get("error_occurred"):
                result.missing = run["error_message"]
                result.times_missing += 1
                continue
            standard = {"real_time", "cpu_time", "iterations", "repetitions", "repetition_index", "threads",
                        "family_index", "per_family_instance_index"}
            for name, value in run.items():
                if isinstance(value, (int, float)) and name not in standard:
                    result.rounds.setdefault(name, []).append(value)
    return rows


def number(value):
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def label(column):
    name, _, unit = column.rpartition("_")
    if unit not in ("us", "ms", "kib"):
        return column.replace("_", " ")
    return f"{name.replace('p999', 'p99.9').replace('_', ' ')} {unit.replace('kib', 'KiB')}"


def limit_of(spec, rows):
    if not spec.limit:
        return None
    row, _, contestant = spec.limit.partition("/")
    result = rows.get(row, {}).get(contestant)
    return result and result.median(spec.columns[0])


def in_caller(result):
    """Whether the task was mostly run by the thread that waited for it: a quicker thing, and another one."""
    elsewhere = result.median("elsewhere")
    return elsewhere is not None and elsewhere < 0.5


def remarks(result):
    """What the figures of a contestant that was measured do not say."""
    elsewhere = result.median("elsewhere")
    said = []
    if elsewhere is not None and elsewhere < 0.99:
        said.append("ran in the caller" if elsewhere < 0.01 else f"{1 - elsewhere:.0%} ran in the caller")
    if result.times_missing:
        said.append(f"{result.times_missing} more rounds: {result.missing}")
    return "; ".join(said)


def judged_aims(spec, contestants, limit):
    """The aims as (text, whether the subject reached it; None when there is nothing to judge)."""
    column = spec.columns[0]
    aims = dict(spec.aims)
    subject = contestants.get(SUBJECT)
    if spec.aim_of_limit and limit:
        aims[column] = spec.aim_of_limit * limit
    if spec.aim_over:
        base = contestants.get(spec.aim_over[0], Result()).median(column)
        if base is not None:
            aims[column] = base + spec.aim_over[1]
    judged = []
    for column, aim in aims.items():
        value = subject.median(column) if subject else None
        reached = None if value is None else value >= aim if spec.at_least else value <= aim
        found = {None: "", True: " (reached)", False: f" (MISSED: {number(value)})"}[reached]
        judged.append((f"{label(column)} {'>=' if spec.at_least else '<='} {number(aim)}{found}", reached))
    return judged


def table(header, lines):
    widths = [max(len(line[i]) for line in [header] + lines) for i in range(len(header))]
    for line in [header] + lines:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  " + "   ".join(cells).rstrip())


def print_limits(rows, names):
    print("what the machine can do")
    lines = []
    for row in names:
        for contestant, result in rows[row].items():
            columns = [c for c in ("p50_us", "p99_us", "ns") if c in result.rounds]
            if not columns:
                continue
            low, high = result.spread(columns[0])
            values = [f"{number(result.median(c))} {c.rpartition('_')[2]}" for c in columns] + [""]
            title = row.replace("_", " ") + ("" if contestant == "limit" else ", " + contestant.replace("_", " "))
            lines.append([title, values[0], values[1], f"{number(low)} .. {number(high)}"])
    table(["", "p50", "p99", "spread of the rounds"], lines)


def print_row(name, contestants, rows):
    spec = ROWS.get(name) or Row(name, sorted({c for r in contestants.values() for c in r.rounds}))
    main = spec.columns[0]
    limit = limit_of(spec, rows)
    helped = in_caller(contestants.get(SUBJECT, Result()))
    others = [r.median(main) for c, r in contestants.items() if not c.startswith(SUBJECT) and main in r.rounds
              and not r.median("never") and not spec.is_limit(name, c) and (helped or not in_caller(r))]
    best = (max if spec.at_least else min)(others, default=None)

    print(f"\n{spec.title}")
    aims = judged_aims(spec, contestants, limit)
    verdicts = [reached for _, reached in aims if reached is not None]
    reached = all(verdicts) if verdicts else None
    if aims:
        print("  aim: " + ", ".join(text for text, _ in aims))
    if limit:
        print(f"  limit: {spec.limit.replace('/', ', ').replace('_', ' ')} {number(limit)} {main.rpartition('_')[2]}")
    lines = []
    for contestant, result in contestants.items():
        if not result.rounds:
            lines.append([contestant] + ["-"] * len(spec.columns) + ([""] if limit else []) + ["", "", result.missing])
            continue
        value = result.median(main)
        low, high = result.spread(main)
        never = result.median("never")
        lines.append([contestant] + [number(result.median(column)) for column in spec.columns] +
                     ([number(value / limit)] if limit else []) +
                     [number(value / best) if best else "", "never ran" if never else f"{number(low)} .. {number(high)}",
                      remarks(result)])
    table([""] + [label(c) for c in spec.columns] + (["x limit"] if limit else []) +
          ["x best other", f"spread of {label(main)}", ""], lines)
    if spec.note:
        print(f"  ({spec.note})")
    return {"row": name, "limit": limit, "best_other": best, "aims": [text for text, _ in aims], "reached": reached,
            "contestants": {c: {"missing": r.missing} if not r.rounds else
                            {k: {"median": r.median(k), "min": min(v), "max": max(v)} for k, v in r.rounds.items()}
                            for c, r in contestants.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the table as JSON too")
    parser.add_argument("results", nargs="+")
    options = parser.parse_args()

    rows = read(options.results)
    limits = [row for row, contestants in rows.items() if not any(c.startswith(SUBJECT) for c in contestants)]
    print_limits(rows, limits)
    report = [print_row(name, contestants, rows) for name, contestants in rows.items() if name not in limits]
    missed = [r["row"] for r in report if r["reached"] is False]
    print(f"\n{sum(r['reached'] is True for r in report)} aims reached, {len(missed)} missed" +
          (": " + ", ".join(missed) if missed else ""))
    if options.json:
        limit_values = {f"{row}/{c}": {k: {"median": r.median(k), "min": min(v), "max": max(v)} for k, v in r.rounds.items()}
                        for row in limits for c, r in rows[row].items()}
        Path(options.json).write_text(json.dumps({"limits": limit_values, "rows": report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
