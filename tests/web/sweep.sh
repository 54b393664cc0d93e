#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Small sweeps: their page, and what is left of one that is killed: sweep.sh TUBELET MAKE_INPUTS MODULES PYTHON
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/web/pages.sh
. "$here/pages.sh"
cat >search.yaml <<'END'
method: random
metric: {name: val_loss, goal: minimize}
run_cap: 5
early_terminate: {type: hyperband, min_iter: 2, eta: 2}
parameters:
  lr: {distribution: log_uniform_values, min: 1.0e-5, max: 0.1}
  heads: {values: [1, 2]}
  epochs: {value: 4}
END
small="--data small.npz --tubelet 4,4,4 --hidden 16 --layers 1 --mlp 32 --batch-size 8 --threads 1"
sweep() { # OPTION...
    # shellcheck disable=SC2086
    "$program" sweep search.yaml $small "$@"
}
sweep --out whole --quiet >whole.txt
"$python" "$here/check_sweep.py" whole val_loss minimize || fail "the page"
"$here/screens" whole/sweep.html || [ $? = 77 ] || fail "the page in a browser"
grep -q 'http' whole/sweep.html && fail "the page names another place"

# Killed each time it has said one line more, with SIGKILL, and gone on with in the end: the same journal, table and best recipe.
facts() { # FOLDER
    "$python" -c 'import sqlite3, sys
d = sqlite3.connect(sys.argv[1] + "/journal.sqlite")
print(d.execute("select number, state, parameters from trial").fetchall(), d.execute("select * from report").fetchall())' "$1"
}
facts whole >whole.facts
# shellcheck disable=SC2086
"$python" - "$program" $small <<'END' || fail "killing"
import signal, subprocess, sys
program, small = sys.argv[1], sys.argv[2:]
for lines in (1, 2, 3, 4, 6, 8):
    work = subprocess.Popen([program, "sweep", "search.yaml", *small, "--out", "killed", "--json"], stdout=subprocess.PIPE, text=True)
    said = 0
    for line in work.stdout:
        said += 1
        if said == lines and '"interrupted"' not in line:
            work.send_signal(signal.SIGKILL)
            break
    work.stdout.close()
    work.wait()
END
sweep --out killed --quiet >killed.txt
facts killed >killed.facts
cmp whole.facts killed.facts || fail "a killed sweep has another journal"
cmp whole.txt killed.txt || fail "a killed sweep has another table"
cmp whole/best.yaml killed/best.yaml || fail "a killed sweep has another best recipe"

# A sweep that is asked to end lets its trial save, and goes on.
# shellcheck disable=SC2086
"$python" - "$program" $small <<'END' || fail "interrupting"
import json, signal, subprocess, sys
program, small = sys.argv[1], sys.argv[2:]
work = subprocess.Popen([program, "sweep", "search.yaml", *small, "--out", "asked", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
work.stdout.readline()
work.send_signal(signal.SIGTERM)
out, talk = work.communicate()
assert work.returncode == 1, work.returncode
assert json.loads(out.splitlines()[-1])["interrupted"] is True, out
assert "the same command goes on" in talk, talk
END
sweep --out asked --quiet >asked.txt
cmp whole.txt asked.txt || fail "an interrupted sweep has another table"

# A first trial that takes long enough for what is done to it.
long() { # FOLDER EPOCHS
    printf 'method: grid\nmetric: {name: val_loss}\nparameters: {epochs: {values: [%s, 1]}}\n' "$2" >"$1.yaml"
}

long timed 3000
# shellcheck disable=SC2086
"$python" - "$program" $small <<'END' || fail "interrupting within a trial"
import os, subprocess, sys
work = subprocess.Popen([sys.argv[1], "sweep", "timed.yaml", *sys.argv[2:], "--out", "timed", "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
log = "timed/trials/0000/log.csv"
while work.poll() is None and not (os.path.exists(log) and len(open(log).readlines()) > 2):
    pass
work.terminate()
work.communicate()
END
"$python" -c 'import sqlite3
d = sqlite3.connect("timed/journal.sqlite")
assert d.execute("select seconds > 0 from trial where state = 0").fetchall() == [(1,)]' || fail "the time of an interrupted trial is lost"

# The training of a killed sweep may have the trial's folder for some time yet; here we have it.
long held 300
# shellcheck disable=SC2086
"$program" sweep held.yaml $small --out unhurt --quiet >unhurt.txt
# shellcheck disable=SC2086
"$python" - "$program" $small <<'END' || fail "waiting for a folder"
import fcntl, os, signal, subprocess, sys, threading
program, small = sys.argv[1], sys.argv[2:]
command = [program, "sweep", "held.yaml", *small, "--out", "held", "--plain"]
work = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True)
work.stdout.readline()
while not os.path.exists("held/trials/0000/log.csv"):
    pass
work.send_signal(signal.SIGKILL)
work.stdout.close()
work.wait()
folder = os.open("held/trials/0000", os.O_RDONLY)
fcntl.flock(folder, fcntl.LOCK_EX)
again = subprocess.Popen(command, stdout=open("held.txt", "w"), stderr=subprocess.PIPE, text=True)
assert again.stderr.readline() == "trial 0 goes on: epochs=300\n"
said = again.stderr.readline()
assert said == "trial 0 waits for another process that is at work on held/trials/0000\n", said
threading.Timer(1, os.close, [folder]).start()
talk = again.communicate()[1]
assert again.returncode == 0, talk
END
cmp unhurt.txt held.txt || fail "a trial that waited for its folder is another one"

# A training that is killed alone: its trial has failed, and the others go on.
long alone 100000
# shellcheck disable=SC2086
"$python" - "$program" $small <<'END' || fail "killing a training"
import json, os, signal, subprocess, sys
program, small = sys.argv[1], sys.argv[2:]
work = subprocess.Popen([program, "sweep", "alone.yaml", *small, "--out", "alone", "--cpu", "portable", "--json"], stdout=subprocess.PIPE, text=True)
work.stdout.readline()
while not os.path.exists("alone/trials/0000/log.csv"):
    pass
[training] = open(f"/proc/{work.pid}/task/{work.pid}/children").read().split()
words = open(f"/proc/{training}/cmdline").read().split("\0")
assert words[words.index("--cpu") + 1] == "portable", words
os.kill(int(training), signal.SIGKILL)
told = [json.loads(line) for line in work.stdout]
[ended] = [t for t in told if t.get("trial") == 0 and t["state"] != "running"]
assert ended["state"] == "failed" and ended["note"] == "ended by signal 9 (Killed)", ended
assert work.wait() == 0 and told[-1]["trials"] == 2, told[-1]
END

# Two at once can't have one folder.
# shellcheck disable=SC2086
"$python" - "$program" $small <<'END' || fail "two at once"
import signal, subprocess, sys
program, small = sys.argv[1], sys.argv[2:]
command = [program, "sweep", "search.yaml", *small, "--out", "shared"]
work = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
work.stdout.readline()
other = subprocess.run(command, capture_output=True, text=True)
work.send_signal(signal.SIGTERM)
work.communicate()
assert other.returncode == 1 and "another sweep is at work on it" in other.stderr, other
assert other.stderr.count("\n") == 1, other.stderr
END
echo "sweeps: fine"
