# SPDX-License-Identifier: Apache-2.0
"""The table, bench/RESULTS.md, from the turns in bench/results.json."""

import importlib.metadata
import os
import platform
import re
import statistics
import subprocess
from pathlib import Path

from work import PEERS, ROWS, SAMPLES, can_do

HOW = """\
How it was measured: row by row, each peer in a process of its own. A turn is the machine's peak (`tubelet bench peak`),
tubelet, then the peer: medians of many calls after some that do not count. While it is not its turn a peer is stopped
(SIGSTOP), so that idle threads can't spin and every program runs with its own default settings; what a stopped peer took
of the processor is in `results.json` (`idle_processor_seconds`). A ratio is of one turn's two times; the
tables have the medians over the rounds. *x T_peak* is a multiple of the time that the products' and attention's operations
take at the float32 multiply-add peak of the same turn.

- An epoch is {samples} samples in steps of 32: the time of a step (forward, backward, Adam) times {samples}/32. Keras goes over its data by
  itself (`fit`), which is the fastest that it has.
- PyTorch in bf16 is autocast. Keras in bf16 is `mixed_bfloat16`. onnxruntime has no bf16 for these graphs; its int8 is dynamic
  quantisation. OpenVINO has `INFERENCE_PRECISION_HINT` f32 or bf16, and int8 of NNCF; what is not int8 then is
  bf16 where the processor has it, OpenVINO's own choice, and float32 in tubelet.
- Weights and volumes are random: the times do not depend on them.
- Memory is the largest resident size of the process (`VmHWM`), with what making or compiling the model took; of PyTorch, Keras and
  OpenVINO the libraries alone are some hundred MiB.

To repeat: `bench/peers/run` on a quiet machine ([docs/benchmarks.md](../docs/benchmarks.md)). It installs what it needs, outside the checkout.
"""


def machine():
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory),
        "system": f"{system}, Linux {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }


def versions():
    found = {"tubelet": _commit()}
    for _, packages, _, _ in PEERS.values():
        for package in packages:
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[package] = None
    return found


def _commit():
    git = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown"


def median(pairs, figure):
    return statistics.median(figure(pair) for pair in pairs)


def ratio(pair):
    return pair["peer"]["milliseconds"] / pair["tubelet"]["milliseconds"]


def _t_peak(who):
    def multiple(pair):
        return 1e-3 * pair[who]["milliseconds"] * pair["peak_gflops"] / pair["tubelet"]["gflop"]

    return multiple


def _all(result):
    return [pair for pairs in result["pairs"].values() for pair in pairs]


def _compared(result):
    return {peer: pairs for peer, pairs in result["pairs"].items() if peer in PEERS}


def _best(result):
    """The peer with the smallest ratio, that is the fastest; None without peers."""
    compared = _compared(result)
    return min(compared, key=lambda peer: median(compared[peer], ratio), default=None)


def short(pairs):
    ours = median(
        [p for of_peer in pairs.values() for p in of_peer], lambda p: p["tubelet"]["milliseconds"]
    )
    others = [f"{peer} x {median(p, ratio):.2f}" for peer, p in pairs.items() if peer in PEERS]
    return f"tubelet {ours:.3f} ms; " + ", ".join(others)


def _time(row, milliseconds):
    if row.training:
        return f"{milliseconds * SAMPLES / row.batch / 1e3:.3f} s"
    return f"{milliseconds / 1e3:.3f} s" if milliseconds >= 1e3 else f"{milliseconds:.3f} ms"


def _cell(row, pairs, who):
    if not pairs:
        return "-"
    milliseconds = median(pairs, lambda pair: pair[who]["milliseconds"])
    return f"{_time(row, milliseconds)} ({median(pairs, _t_peak(who)):.2f})"


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _ratios(results):
    lines = []
    for name, result in results["rows"].items():
        row, best = ROWS[name], _best(result)
        limit = f"{row.limit:g}" if row.limit else ""
        if best is None:
            lines.append([row.title, row.precision, "-", "-", "-", limit, ""])
            continue
        pairs = result["pairs"][best]
        value, each = median(pairs, ratio), [ratio(pair) for pair in pairs]
        holds = "" if row.limit is None else "yes" if value >= row.limit else "**no**"
        spread = f"{min(each):.2f} to {max(each):.2f}"
        lines.append(
            [row.title, row.precision, PEERS[best][0], f"**{value:.2f}**", spread, limit, holds]
        )
    header = [
        "work",
        "precision",
        "best peer",
        "times as fast",
        "of the rounds",
        "at least",
        "holds",
    ]
    return _table(header, lines)


def _times(results):
    lines = []
    for name, result in results["rows"].items():
        row = ROWS[name]
        cells = [_cell(row, result["pairs"].get(peer), "peer") for peer in PEERS]
        peak = f"{median(_all(result), lambda pair: pair['peak_gflops']):.0f}"
        lines.append([row.title, row.precision, peak, _cell(row, _all(result), "tubelet"), *cells])
    header = ["work", "precision", "peak, GFLOP/s", "tubelet"]
    return _table(header + [title for title, *_ in PEERS.values()], lines)


def _memory(results):
    lines = []
    for name, result in results["rows"].items():
        row, compared = ROWS[name], _compared(result)
        sizes = [
            (
                f"{max(p['peer']['resident_mib'] for p in compared[peer]):.0f}"
                if peer in compared
                else "-"
            )
            for peer in PEERS
        ]
        lines.append([row.title, row.precision, f"{result['tubelet_resident_mib']:.0f}", *sizes])
    header = ["work", "precision", "tubelet"]
    return _table(header + [title for title, *_ in PEERS.values()], lines)


def _failures(results):
    lines = [
        f"- {ROWS[name].title}, {ROWS[name].precision}: {PEERS[peer][0]} is left out: {reason}\n"
        for name, result in results["rows"].items()
        for peer, reason in result["failures"].items()
        if can_do(peer, ROWS[name])
    ]
    return "".join(["\n", *lines]) if lines else ""


def _facts(results):
    rows = results["rows"].values()
    span = lambda key, form: " to ".join(  # noqa: E731
        dict.fromkeys(form.format(f(r[key] for r in rows)) for f in (min, max))
    )
    m = results["machine"]
    found = [f"{name} {version}" for name, version in results["versions"].items() if version]
    facts = {
        "date": span("date", "{}"),
        "processor": f"{m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB",
        "kernels": next((p["tubelet"]["cpu"] for r in rows for p in _all(r)), "-"),
        "system": m["system"],
        "versions": ", ".join(found) + f", Python {m['python']}",
        "threads": span("threads", "{}"),
        "rounds": span("rounds", "{}"),
        "load": span("load", "{:.1f}") + " when a row was done",
    }
    return _table(["", ""], [[name, value] for name, value in facts.items()])


def variants(text):
    """The part of the page that bench/variants wrote, of the page as it was."""
    found = re.search("^<!-- variants -->\n(.*)^<!-- end of variants -->", text, re.DOTALL | re.MULTILINE)
    part = found.group(1) if found else "Not measured yet.\n"
    return f"<!-- variants -->\n{part}<!-- end of variants -->\n"


def page(results, before):
    """The whole page; `before` is its text as it was, or empty."""
    return (
        "# tubelet and its peers\n\nWritten by `bench/peers/run`.\n\n"
        + _facts(results)
        + "\n## How many times as fast as the best peer\n\n"
        + _ratios(results)
        + "\n## Medians, and multiples of T_peak in brackets\n\n"
        + _times(results)
        + _failures(results)
        + "\n## Largest resident size, MiB\n\n"
        + _memory(results)
        + "\n## The four variants of the model\n\n"
        + variants(before)
        + "\n## How\n\n"
        + HOW.format(samples=SAMPLES)
    )
