# SPDX-License-Identifier: Apache-2.0
"""One peer at one row of the table, in a process of its own.

usage: worker.py PEER ROW THREADS CACHE

Says `ready` on stdout, then answers every line on stdin by a turn: calls that do not count, then those that do, and a
line of JSON. Between turns the parent stops the process, so that no setting has to keep its threads from spinning.
"""

import json
import os
import statistics
import sys
import time

from work import ROWS, graph_of


def prepare(peer, row, threads, cache):
    if peer in ("torch", "torch-compile"):
        import torch_work

        return torch_work.prepare(row, threads, compiled=peer == "torch-compile")
    if peer == "keras":
        import keras_work

        return keras_work.prepare(row)
    import graph_work

    maker = getattr(graph_work, f"prepare_{peer}")
    return maker(row, threads, graph_of(peer, row, cache))


def turn(call, row):
    at_once = getattr(call, "calls", 1)  # a call may be several steps
    for _ in range(-(-row.warm_up // at_once)):
        call()
    seconds = []
    for _ in range(-(-row.repeats // at_once)):
        start = time.perf_counter()
        call()
        seconds.append((time.perf_counter() - start) / at_once)
    return {
        "milliseconds": 1e3 * statistics.median(seconds),
        "milliseconds_min": 1e3 * min(seconds),
        "resident_mib": peak_resident(),
    }


def peak_resident():
    """MiB; not getrusage's number, which begins with the parent's."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None


def main():
    peer, name, threads, cache = sys.argv[1:]
    # Only our lines may go to stdout: what libraries print goes to stderr.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # Whatever library takes a thread per core: it sees as many cores as there shall be threads.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    row = ROWS[name]
    call = prepare(peer, row, int(threads), cache)
    call()
    print("ready", file=answers)
    for _ in sys.stdin:
        print(json.dumps(turn(call, row)), file=answers)


if __name__ == "__main__":
    main()
