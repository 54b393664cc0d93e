# SPDX-License-Identifier: Apache-2.0
"""Measures tubelet and its peers in turn and writes the table. Started by bench/peers/run, which makes what it needs."""

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from work import PEERS, ROWS, can_do, graph_of

HERE = Path(__file__).parent
LONGEST = 900  # seconds that a peer may take for anything


class Failure(Exception):
    """One sentence: why there is no figure."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def last_line(log):
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    return next((line[:200] for line in reversed(lines) if line), "no word why")


class Worker:
    """A peer's process, which is stopped whenever it is not its turn."""

    def __init__(self, peer, name, threads, cache):
        command = [sys.executable, HERE / "worker.py", peer, name, str(threads), cache]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,  # a group of its own: helpers are stopped with it
        )
        try:
            self.answer()
            self.stop()
        except BaseException:  # an interruption, too: nobody else knows of the process yet
            self.end()
            raise

    def answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], LONGEST)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            raise Failure(self.reason() if ready else f"no answer in {LONGEST} s")
        return line

    def reason(self):
        """Why it ended: its last words, or what ended it."""
        code = self.process.wait()
        if code < 0:
            return f"ended by {signal.Signals(-code).name} (too little memory?)"
        return last_line(self.log)

    def stop(self):
        os.killpg(self.process.pid, signal.SIGSTOP)
        self.stopped_at = self.processor_seconds()

    def processor_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def turn(self):
        idle = self.processor_seconds() - self.stopped_at
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            self.process.stdin.write(b"turn\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure(self.reason()) from None
        result = json.loads(self.answer())
        self.stop()
        # What it took while others ran: nothing, but for the moment until the stop arrived.
        return result | {"idle_processor_seconds": round(idle, 2)}

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Tubelet:
    def __init__(self, program, threads):
        self.program, self.threads = program, str(threads)

    def bench(self, *arguments):
        command = [self.program, "bench", *arguments, "--threads", self.threads]
        done = subprocess.run([*command, "--json", "--quiet"], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(done.stderr.strip().splitlines()[-1] if done.stderr else "it failed")
        return json.loads(done.stdout.splitlines()[0])

    def peak(self):
        return self.bench("peak")["gflops"]

    @staticmethod
    def arguments(row, repeats):
        kind = "step" if row.training else "predict"
        options = ["--batch-size", str(row.batch), "--precision", row.precision]
        return [kind, row.model.preset, *options, "--repeats", str(repeats)]

    def turn(self, row):
        return self.bench(*self.arguments(row, row.repeats))

    def peak_resident(self, row):
        """MiB, in a run of its own whose largest size is looked at until it ends."""
        command = [self.program, "bench", *self.arguments(row, 3), "--threads", self.threads]
        largest = 0
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            status = Path(f"/proc/{process.pid}/status")
            while process.poll() is None:
                for line in status.read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        largest = max(largest, int(line.split()[1]) / 1024)
                time.sleep(0.002)
        return largest


def write_graph(peer, name, cache):
    graph = graph_of(peer, ROWS[name], cache)
    if graph is None or os.path.exists(graph):
        return
    os.makedirs(os.path.dirname(graph), exist_ok=True)
    say(f"  {peer}: writing its graph")
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, HERE / "graphs.py", peer, name, cache]
        if subprocess.run(command, stdout=log, stderr=log).returncode != 0:
            raise Failure(f"no graph: {last_line(log)}")


def start_workers(name, options, workers, failures):
    """Fills in those that can be had, and why the others can't."""
    for peer in options.peers:
        if not can_do(peer, ROWS[name]):
            continue
        try:
            write_graph(peer, name, options.cache)
            workers[peer] = Worker(peer, name, options.threads, options.cache)
        except Failure as failure:
            failures[peer] = str(failure)
            say(f"  {peer}: left out: {failure}")


def one_round(row, tubelet, workers, failures, pairs):
    """Every peer right after tubelet, and the peak before both."""
    for peer, worker in list(workers.items()):
        pair = {"peak_gflops": tubelet.peak(), "tubelet": tubelet.turn(row)}
        try:
            pairs.setdefault(peer, []).append(pair | {"peer": worker.turn()})
        except Failure as failure:
            failures[peer] = str(failure)
            say(f"  {peer}: left out: {failure}")
            pairs.pop(peer, None)
            workers.pop(peer).end()
    if not workers:  # nothing to compare with: tubelet alone
        pair = {"peak_gflops": tubelet.peak(), "tubelet": tubelet.turn(row)}
        pairs.setdefault("tubelet", []).append(pair)


def measure_row(name, options):
    row, tubelet = ROWS[name], Tubelet(options.tubelet, options.threads)
    say(
        f"{name}: starting {', '.join(p for p in options.peers if can_do(p, row)) or 'nobody else'}"
    )
    workers, failures, pairs = {}, {}, {}
    try:
        start_workers(name, options, workers, failures)
        for number in range(options.rounds):
            one_round(row, tubelet, workers, failures, pairs)
            say(f"  round {number + 1} of {options.rounds}: {report.short(pairs)}")
        memory = tubelet.peak_resident(row)
    finally:
        for worker in workers.values():
            worker.end()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "load": os.getloadavg()[0],
        "rounds": options.rounds,
        "threads": options.threads,
        "tubelet_resident_mib": memory,
        "pairs": pairs,
        "failures": failures,
    }


def words_of(allowed):
    def parse(text):
        words = text.split(",")
        for word in words:
            if word not in allowed:
                raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(allowed)}")
        return words

    return parse


def parse_options():
    parser = argparse.ArgumentParser(
        prog="bench/peers/run",
        description="Measures tubelet in turn with other programs that do the same work.",
        epilog="Wants a quiet machine. The other programs are installed in $TUBELET_PEERS, by default "
        "~/.cache/tubelet-peers; $TUBELET names the program, by default it is built in build/.",
    )
    add = parser.add_argument
    cores = len(os.sched_getaffinity(0))
    add("--peers", type=words_of(PEERS), default=list(PEERS), help=f"of {','.join(PEERS)}")
    add("--rows", type=words_of(ROWS), default=list(ROWS), help=f"of {','.join(ROWS)}")
    add("--rounds", type=int, default=5, help="turns of each (default 5)")
    add("--threads", type=int, default=cores, help="of each (default: one per core)")
    add("--out", default="bench", help="folder of RESULTS.md and results.json (default bench)")
    add("--add", action="store_true", help="keep the rows that are in results.json already")
    add("--tubelet", default="build/app/tubelet", help=argparse.SUPPRESS)
    add("--cache", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1 or not 1 <= options.threads <= cores:
        parser.error(f"at least one round, and 1 to {cores} threads")
    return options


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that workers are ended
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    results = {"rows": {}}
    if options.add and (out / "results.json").exists():
        results = json.loads((out / "results.json").read_text())
    results["machine"] = report.machine()
    results["versions"] = report.versions()
    for name in options.rows:
        try:
            results["rows"][name] = measure_row(name, options)
        except Failure as failure:
            say(f"  tubelet: {failure}")
            sys.exit(1)
        # After every row: what was measured is not lost when the next one is interrupted.
        (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        page = out / "RESULTS.md"
        page.write_text(report.page(results, page.read_text() if page.exists() else ""))
    say(f"written: {out}/RESULTS.md and {out}/results.json")


if __name__ == "__main__":
    main()
