#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random sweep files, right and wrong ones, for the package `sweeps` and for tubelet: the same verdicts, defaults and grids.

    check_sweeps.py PROGRAM [FILES [SEED]]
"""
import json
import random
import subprocess
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
import yaml  # noqa: E402
from sweeps import next_runs  # noqa: E402
from sweeps.config import SweepConfig, schema_violations_from_proposed_config  # noqa: E402

SCALARS = ["1", "2.0", "0", "-1", "1e-3", "1.0e-3", '"x"', "true", "null", "0.5", "[1, 2]", "{a: 1}", "010", "1_000", "0x1f", ".5", "1:30", "on", "-0.0",
           "1.", "[]", "{}", "3.0", '"2"', "yes", "0o7", "1e5", "+3", "-.5", "0b11", "_1", "08", "1__0", ".", "1.5e3", "1.5e+3", "190:20:30"]
BOUNDED = ["uniform", "log_uniform_values", "q_uniform", "int_uniform", "inv_log_uniform_values", "q_log_uniform_values", "log_uniform", "q_log_uniform",
           "inv_log_uniform"]
OTHERS = ["normal", "beta", "q_beta", "q_normal", "q_log_normal", "log_normal", "categorical", "constant", "categorical_w_probabilities", "bad"]
KEYS = ["min", "max", "q", "mu", "sigma", "a", "b", "values", "value", "probabilities", "distribution", "step", "parameters"]
METRICS = ["{name: val_loss}"] * 12 + ["{name: val_loss, goal: maximize}", "{name: l, goal: x}", "{name: 3}", "{goal: minimize}", "{name: a, impute: best}",
                                       "{name: a, impute_while_running: false}", '{name: a, impute_while_running: "false"}', "{name: a, foo: 1}"]
MOST_POINTS = 3000


class Files:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def scalar(self):
        return self.random.choice(SCALARS)

    def scalars(self, least, most):
        return ", ".join(self.scalar() for _ in range(self.random.randint(least, most)))

    def distributed(self):
        r, d = self.random, self.random.choice(BOUNDED + OTHERS + ["q_uniform", "int_uniform"] * 4)
        if d in BOUNDED:
            keys = ["min", "max"] + ["q"] * (d.startswith("q") and r.random() < 0.7)
        elif "beta" in d or "normal" in d:
            keys = [k for k in (["a", "b"] if "beta" in d else ["mu", "sigma"]) + ["q"] * d.startswith("q_") if r.random() < 0.7]
        else:
            keys = ["values"] if d.startswith("cat") else ["value"]
        keys += [r.choice(KEYS)] * (r.random() < 0.04)
        usual = {"values": ["[1, 2]"], "min": ["0.1", "1", "2", "0"], "max": ["5", "3.5", "10"]}
        parts = [f"{k}: {r.choice(usual.get(k, ['1', '0.5', '2.0', '0']) + [self.scalar()])}" for k in dict.fromkeys(keys)]
        return "{" + ", ".join([f"distribution: {d}"] + parts) + "}"

    def parameter(self, depth=0):
        r = self.random
        kind = r.random()
        if kind < 0.12 and depth < 3:
            return "{parameters: {%s}}" % ", ".join(f"{r.choice('abcdAB')}: {self.parameter(depth + 1)}" for _ in range(r.randint(1, 2)))
        if kind < 0.35:
            return "{values: [%s]}" % self.scalars(r.random() < 0.95, 4)
        if kind < 0.45:
            return "{value: %s}" % self.scalar()
        if kind < 0.6:
            low, high = (self.scalar(), self.scalar()) if r.random() < 0.5 else (r.choice(["1", "-2", "0"]), r.choice(["3", "4", "2.5", "5"]))
            return "{min: %s, max: %s}" % (low, high)
        if kind < 0.66:
            n = r.randint(1, 3)
            shares = ", ".join(r.choice(["0.5", "0.25", "1", "0.3", self.scalar()]) for _ in range(r.choice([n, n, n, 2])))
            return "{values: [%s], probabilities: [%s]}" % (self.scalars(n, n), shares)
        if kind < 0.9:
            return self.distributed()
        if kind < 0.92:
            return "{%s}" % ", ".join(f"{k}: {self.scalar()}" for k in r.sample(KEYS, r.randint(1, 3)))
        return self.scalar() if r.random() < 0.3 else "{value: 1}"

    def file(self):
        r, lines = self.random, []
        if r.random() < 0.99:
            lines.append("method: " + r.choice(["grid"] * 12 + ["random"] * 4 + ["bayes"] * 2 + ["custom", "x"]))
        if r.random() < 0.6:
            lines.append("metric: " + r.choice(METRICS))
        if r.random() < 0.15:
            keys = r.sample(["min_iter", "max_iter", "s", "eta", "strict"], r.randint(0, 3))
            parts = [f"type: {r.choice(['hyperband'] * 8 + ['median'])}"] + [f"{k}: {r.choice(['2', '3', 'true', self.scalar()])}" for k in keys]
            lines.append("early_terminate: {%s}" % ", ".join(parts))
        if r.random() < 0.04:
            lines.append("run_cap: " + self.scalar())
        if r.random() < 0.05:
            key = r.choice(["name", "program", "kind", "apiVersion", "controller", "command", "foo", "job", "metrics", "scheduler"])
            lines.append(f"{key}: " + r.choice([self.scalar(), "sweep", "{type: local}", "[a, 1]", "{engine: wandb}", "{engine: optuna}"]))
        names = r.choices(["a", "b", "c", "A", "B", "C", "a-b", "a.b", "_x", "x1", "d", "e", "f", "1", "1x", "on"], k=r.randint(1, 3))
        lines.append("parameters:\n" + "\n".join(f"  {name}: {self.parameter()}" for name in names))
        r.shuffle(lines)
        return "\n".join(lines) + "\n"


def theirs(text):
    """The file with its defaults, or None where the package refuses it; and the points of its grid, None where that does not start."""
    try:
        config = yaml.safe_load(text)
        if schema_violations_from_proposed_config(config):
            return None, None
        full = json.loads(json.dumps(SweepConfig(config)))
    except Exception:
        return None, None
    if config.get("method") != "grid":
        return full, None
    try:
        runs = next_runs(config, [], n=MOST_POINTS)
        return full, json.loads(json.dumps([{k: v["value"] for k, v in run.config.items()} for run in runs if run is not None]))
    except Exception:
        return full, None


def hyperband_starts(config):
    """The package looks at early_terminate when it stops runs, tubelet before the first one."""
    et = config.get("early_terminate")
    return et is None or ("metric" in config and ("max_iter" not in et or ("s" in et and isinstance(et["s"], int) and et["s"] >= 1 and et["max_iter"] >= et["eta"])))


def compare(program, path, text):
    """What differs, or None; and whether the file is valid, and a grid that was compared."""
    full, grid = theirs(text)
    run = subprocess.run([program, "sweep", path, "--dry-run", "--json"], capture_output=True, text=True)
    started = run.returncode == 0
    if (started or "valid, but it can't be started" in run.stderr) != (full is not None):
        return "verdict: " + run.stderr, False, False
    if full is None:
        return None, False, False
    if started:
        ours = json.loads(run.stdout)
        ours["file"]["parameters"] = {k: v for k, v in ours["file"]["parameters"].items() if "parameters" not in v}
        if ours["file"] != full:
            return f"defaults: {ours['file']}", True, False
    if full["method"] != "grid" or not hyperband_starts(full) or (grid is not None and len(grid) == MOST_POINTS):
        return None, True, False
    if started != (grid is not None):
        return "start: " + run.stderr, True, True
    same = not started or json.dumps(ours["trials"], sort_keys=True) == json.dumps(grid, sort_keys=True)
    return None if same else f"grid: {ours['trials'][:5]}", True, True


def main():
    program, files, seed = sys.argv[1], int((sys.argv + ["300"])[2]), int((sys.argv + ["", "1"])[3] if len(sys.argv) > 3 else 1)
    maker, differ, valid, grids = Files(seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/file.yaml"
        for _ in range(files):
            text = maker.file()
            with open(path, "w") as f:
                f.write(text)
            wrong, is_valid, is_grid = compare(program, path, text)
            valid, grids = valid + is_valid, grids + is_grid
            if wrong is not None:
                differ += 1
                print(f"FAIL {wrong}\n{text}")
    few = valid < files / 10 or grids < files / 30
    print(f"{'FAIL' if few else 'ok  '} {files} files: {valid} valid ones, {grids} grids")  # too few would show nothing
    print(f"{files - differ} passed, {differ + few} failed")
    return differ > 0 or few


if __name__ == "__main__":
    sys.exit(main())
