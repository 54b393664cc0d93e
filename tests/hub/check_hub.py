#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tubelet against a hub on this machine (server.py): getting, publishing, Spaces, and what can go wrong.

  check_hub.py TUBELET MODEL       the program, and the folder of a small trained run; $TUBELET_MODULES: the modules

Needs Python alone. Each check has its own empty home. The last lines are cmocka's words, by which ./check counts.
"""
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request

import server

TUBELET, RUN = map(os.path.realpath, sys.argv[1:3])
TOKEN = {"HF_TOKEN": "hf_writer"}
passed, failed = 0, []


def check(function):
    """Runs it with a hub and an empty folder of its own."""
    global passed
    hub, folder = server.Hub(), pathlib.Path(tempfile.mkdtemp(prefix="tubelet-hub."))
    try:
        function(Place(hub, folder))
        passed += 1
    except Exception as problem:  # the other checks go on
        failed.append(function.__name__)
        line = problem.__traceback__.tb_next.tb_lineno if problem.__traceback__.tb_next else 0
        print(f"FAILED {function.__name__}, line {line}: {type(problem).__name__} {problem}")
    finally:
        hub.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return function


class Place:
    def __init__(self, hub, folder):
        self.hub, self.folder, self.home = hub, folder, folder / "home"
        self.home.mkdir()
        self.files = {p.name: p.read_bytes() for p in pathlib.Path(RUN).iterdir()
            if p.name in ("README.md", "config.json", "model.safetensors", "preprocessor_config.json")}

    @property
    def cache(self):
        return self.home / ".cache/huggingface/hub"

    def run(self, *arguments, code=0, **more):
        """Runs tubelet; a failure must be one sentence."""
        env = {"HOME": str(self.home), "HF_ENDPOINT": self.hub.url, "PATH": os.environ["PATH"], "LC_ALL": "C", **more}
        env.update({k: v for k, v in os.environ.items() if k.startswith(("TUBELET_", "ASAN_", "UBSAN_", "LSAN_"))})
        done = subprocess.run([TUBELET, *map(str, arguments)], capture_output=True, text=True, env=env, cwd=self.folder, timeout=300)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}: {done.stderr.strip()}"
        for token in (*server.TOKENS, "hf_nobody"):
            assert token not in done.stdout + done.stderr, "a token was printed"
        if code:
            said = [line for line in done.stderr.splitlines() if line.startswith("tubelet ")]
            assert len(said) == 1, f"one sentence, not: {done.stderr}"
            return said[0]
        return done

    def fetch(self, name="hf:who/m", **more):
        return pathlib.Path(self.run("fetch", name, **more).stdout.strip())

    def refused(self, words, name="hf:who/m", **more):
        said = self.run("fetch", name, code=1, **more)
        assert words in said, f"'{words}' is not in: {said}"
        return said

    def same(self, path, files):
        found = {p.name: p.read_bytes() for p in path.iterdir()}
        assert found == files, f"{sorted(found)} are not {sorted(files)}, or hold something else"

    def serves(self, model, *command):
        """A server, tubelet and the command's words, says that the model is ready. What it says of its page and of frames."""
        env = {"HOME": str(self.home), "HF_ENDPOINT": self.hub.url, "PATH": os.environ["PATH"], "LC_ALL": "C"}
        env.update({k: v for k, v in os.environ.items() if k.startswith(("TUBELET_", "ASAN_", "UBSAN_", "LSAN_"))})
        running = subprocess.Popen([TUBELET, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=self.folder)
        try:
            line = running.stdout.readline()
            port = re.search(r"listening at http://[^/]*:(\d+)/", line)
            assert port, f"{line}{running.stderr.read() if not line else ''}"
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/v2/models/{model}/ready", timeout=60) as answer:
                assert answer.status == 200
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=60) as answer:
                return answer.headers["Content-Security-Policy"], answer.headers["X-Frame-Options"]
        finally:
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=60)

    def partial(self):
        return list(self.cache.glob("models--*/blobs/*.incomplete"))


def has_module(name):
    return os.path.exists(os.path.join(os.environ["TUBELET_MODULES"], f"mod-{name}.so"))


def large(size=700_000):
    return b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(size // 32))


def plain(data=None):
    return {"config.json": b'{"a": 1}\n', "model.safetensors": data or large()}


# ---- Getting ----

@check
def gets_into_the_usual_layout(p):
    commit = p.hub.add("who/m", p.files)
    path = p.fetch()
    root = p.cache / "models--who--m"
    assert path == root / "snapshots" / commit
    p.same(path, p.files)
    for file in path.iterdir():
        made = server.File(p.files[file.name], file.name.endswith(".safetensors"))
        assert os.readlink(file) == f"../../blobs/{made.etag}", "a relative link to the blob"
    assert (root / "refs/main").read_bytes() == commit.encode(), "no newline"
    assert (p.cache / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")
    assert len(list((p.cache / ".locks/models--who--m").glob("*.lock"))) == len(p.files)
    assert not p.partial()
    assert not [h for _, h in p.hub.asked(".") if "Authorization" in h], "no token, none sent"
    p.hub.forget()
    assert p.fetch() == path
    assert not p.hub.asked("resolve"), "what is there is not asked for"
    assert p.fetch(f"hf:who/m@{commit}") == path and len(p.hub.asked(".")) == 1, "nor is a commit"


@check
def folders_by_environment(p):
    commit = p.hub.add("who/m", plain())
    below = f"models--who--m/snapshots/{commit}"
    assert p.fetch(HF_HOME="~/h") == p.home / "h/hub" / below
    assert p.fetch(HF_HUB_CACHE="$HOME/c/${LC_ALL}") == p.home / "c/C" / below
    assert p.fetch(HUGGINGFACE_HUB_CACHE=str(p.home / "old")) == p.home / "old" / below
    assert p.fetch(XDG_CACHE_HOME=str(p.home / "x")) == p.home / "x/huggingface/hub" / below
    assert p.fetch(HF_ENDPOINT=p.hub.url + "//") == p.cache / below
    assert "give an address such as" in p.run("fetch", "hf:who/m", code=2, HF_ENDPOINT="host")


@check
def revisions(p):
    first, second = p.hub.add("who/m", plain(large(64))), p.hub.add("who/m", plain(large(96)))
    p.hub.repos["who/m"].refs["refs/pr/1"] = first
    p.hub.repos["who/m"].refs["v1.0"] = first
    assert p.fetch().name == second
    assert p.fetch("hf:who/m@refs/pr/1").name == first
    assert p.fetch("hf:who/m@v1.0").name == first
    assert (p.cache / "models--who--m/refs/refs/pr/1").read_text() == first
    assert p.hub.asked("revision/refs%2Fpr%2F1")
    p.refused("has no branch, tag or commit 'v2'", "hf:who/m@v2")
    for wrong in ("hf:", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a--b/c", "hf:a/b.git", "hf:-a/b", "hf:a/b c", "hf:a/b@", "hf:a/b@../x", "hf:a/b@/x", "hf:a/b@x//y", "hf:" + "a" * 97):
        said = p.run("fetch", wrong, code=2)
        assert "hf:" in said and not p.cache.joinpath("models--a--b").exists(), said


@check
def parts_with_an_index(p):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"metadata": {}, "weight_map": {"a": names[0], "b": names[1], "c": names[0]}}
    files = {"config.json": b"{}", "model.safetensors.index.json": json.dumps(index).encode(), names[0]: large(), names[1]: large(900_000)}
    p.hub.add("who/m", files)
    p.same(p.fetch(), files)
    p.same(p.fetch(HF_HUB_OFFLINE="1"), files)
    (p.fetch(HF_HUB_OFFLINE="1") / names[1]).unlink()
    p.refused("or not all of it", HF_HUB_OFFLINE="1")
    for name in ("../x.safetensors", "/x.safetensors", "sub/x.safetensors", "x.bin", ".safetensors", "a\\b.safetensors"):
        p.hub.add("who/bad", {**files, "model.safetensors.index.json": json.dumps({"weight_map": {"a": name}}).encode()})
        p.refused(f"'{name}' is ", "hf:who/bad")
        assert not [line for line, _ in p.hub.asked("who/bad/resolve") if "index" not in line and "config" not in line]


@check
def names_of_the_server_stay_in_the_folder(p):
    commit = p.hub.add("who/m", plain())
    for header in ({"ETag": '"../../../evil"'}, {"ETag": '".."'}, {"ETag": '"a/b"'}):
        p.hub.fault("HEAD hub .*config.json", status=200, headers={"X-Repo-Commit": commit, **header})
        p.refused("can't name a file")
    p.hub.fault("revision/main", status=200, body=json.dumps({"sha": "../../evil", "siblings": []}).encode())
    p.refused("sha is no commit")
    p.hub.fault("HEAD hub .*config.json", status=200, headers={"X-Repo-Commit": "0" * 40, "ETag": '"a"'})
    p.refused("not of " + commit)
    p.hub.fault("HEAD hub .*config.json", status=200, headers={"ETag": '"a"'})
    p.refused("is no hub of models")
    p.hub.fault("HEAD hub .*config.json", status=200, headers={"X-Repo-Commit": commit})
    p.refused("has no ETag")
    assert not [f for f in p.home.rglob("*evil*")]


@check
def goes_on_where_it_broke(p):
    data = large(3_000_000)
    p.hub.add("who/m", plain(data))
    p.hub.fault("GET store", cut=1_000_000)
    p.same(p.fetch(), plain(data))
    ranges = [h.get("Range") for _, h in p.hub.asked("GET store")]
    assert ranges[0] is None and re.fullmatch(r"bytes=[1-9]\d*-", ranges[1]), ranges


@check
def connections_without_an_answer(p):
    p.hub.add("who/m", plain())
    p.hub.fault("HEAD hub .*model.safetensors", drop=True)
    p.hub.fault("GET store", drop=True)
    p.same(p.fetch(), plain())
    assert len(p.hub.asked("HEAD hub .*model.safetensors")) == 2 and len(p.hub.asked("GET store")) == 2


@check
def goes_on_in_another_run(p):
    data = large(3_000_000)
    p.hub.add("who/m", plain(data))
    p.hub.fault("GET store", cut=1_000_000)
    p.hub.fault("GET store", times=9, cut=0)
    begun = time.monotonic()
    said = p.refused("bytes, which are kept: run it again to go on")
    assert time.monotonic() - begun >= 3, "a server that gives nothing is not asked again at once"
    [kept] = p.partial()
    assert kept.stat().st_size == int(re.search(r"after (\d+) bytes", said)[1]) == 1_000_000
    p.hub.forget()
    p.same(p.fetch(), plain(data))
    assert [h["Range"] for _, h in p.hub.asked("GET store")] == ["bytes=1000000-"]
    assert not p.partial()


@check
def ranges_that_the_server_ignores(p):
    data = large(3_000_000)
    p.hub.add("who/m", plain(data))
    p.hub.fault("GET store", cut=1_000_000)
    p.hub.fault("GET store", whole=True)
    p.same(p.fetch(), plain(data))


@check
def a_part_that_was_not_asked_for(p):
    data = large(3_000_000)
    p.hub.add("who/m", plain(data))
    p.hub.fault("GET store", cut=1_000_000)
    p.hub.fault("GET store", status=206, headers={"Content-Range": "bytes 5-9/3000000"}, body=b"wrong")
    p.same(p.fetch(), plain(data))
    assert len(p.hub.asked("GET store")) == 3


@check
def another_tools_beginning(p):
    """A partial file is gone on with; one of other bytes, or a longer one, is begun anew."""
    data = large()
    p.hub.add("who/m", plain(data))
    blobs = p.cache / "models--who--m/blobs"
    blobs.mkdir(parents=True)
    kept = blobs / (hashlib.sha256(data).hexdigest() + ".incomplete")
    for begun, first in ((data[:5000], "bytes=5000-"), (b"x" * 5000, "bytes=5000-"), (data + b"more", None), (b"y" * len(data), None)):
        shutil.rmtree(p.cache / "models--who--m/snapshots", ignore_errors=True)
        for blob in blobs.iterdir():
            blob.unlink()
        kept.write_bytes(begun)
        p.hub.forget()
        p.same(p.fetch(), plain(data))
        asked = p.hub.asked("GET store")
        assert asked[0][1].get("Range") == first and not p.partial(), asked


@check
def wrong_bytes_are_not_kept(p):
    p.hub.add("who/m", plain())
    p.hub.fault("GET store", times=9, wrong=True)
    p.refused("the file was not kept: try again")
    assert not p.partial() and not list(p.cache.glob("models--who--m/snapshots/*/model.safetensors"))
    p.hub.forget()
    small = {**plain(), "config.json": b'{"a": "%s"}' % (b"b" * 200)}
    p.hub.add("who/m", small)
    p.hub.fault("GET hub .*config.json", times=9, wrong=True)
    p.refused("the checksum of config.json")
    p.hub.forget()
    p.same(p.fetch(), small)


@check
def sizes_are_bounds(p):
    commit = p.hub.add("who/m", plain())
    etag = p.hub.repos["who/m"].commits[commit]["config.json"].etag
    p.hub.fault("HEAD hub .*config.json", status=200, headers={"X-Repo-Commit": commit, "ETag": f'"{etag}"', "X-Linked-Size": "3"})
    p.refused("the server sends more than 3 bytes")
    p.hub.fault("HEAD hub .*config.json", status=200, headers={"X-Repo-Commit": commit, "ETag": f'"{etag}"', "X-Linked-Size": "99999999999"})
    p.refused("more than the")
    p.hub.fault("HEAD hub .*model.safetensors", status=200, headers={"X-Repo-Commit": commit, "ETag": '"a"', "X-Linked-Size": str(1 << 41)})
    p.refused("MB are free")


@check
def a_busy_server_gets_time(p):
    p.hub.add("who/m", plain())
    p.hub.fault("revision/main", times=2, status=429, headers={"Retry-After": "0"})
    p.hub.fault("HEAD hub .*config.json", status=503, headers={"Retry-After": "0"})
    p.hub.fault("GET store", status=500, headers={"Retry-After": "0"})
    p.same(p.fetch(), plain())
    assert len(p.hub.asked("revision/main")) == 3
    shutil.rmtree(p.cache)
    p.hub.forget()
    p.hub.fault("revision/main", status=429, headers={"RateLimit": '"api";r=0;t=0', "Retry-After": "9999"})
    p.same(p.fetch(), plain())
    shutil.rmtree(p.cache)
    p.hub.fault("revision/main", status=429, headers={"Retry-After": "9999"})
    p.refused("too many requests")
    p.hub.fault("revision/main", times=99, status=500, headers={"Retry-After": "0"}, body=b'{"error": "Internal\\nError"}')
    said = p.refused("answered 500 for its list of files (Internal?Error)")
    assert "\n" not in said


@check
def who_may_not(p):
    p.hub.add("who/secret", plain(), private=True)
    p.hub.add("who/gate", plain(), gated=True)
    p.refused("set HF_TOKEN to a token that may see it", "hf:who/secret")
    p.refused("has no such model", "hf:who/nothing")
    p.refused("the token from HF_TOKEN may not", "hf:who/nothing", HF_TOKEN="hf_reader")
    p.refused("does not know the token from HF_TOKEN", "hf:who/secret", HF_TOKEN="hf_nobody")
    p.refused(f"is gated: accept its conditions at {p.hub.url}/who/gate; then set HF_TOKEN", "hf:who/gate")
    p.refused("then try again with this token", "hf:who/gate", HF_TOKEN="hf_reader")
    p.hub.fault("revision/main", status=403, headers={"X-Error-Message": "not for you hf_reader"})
    p.refused("the hub forbids it; the token", "hf:who/secret", HF_TOKEN="hf_reader")
    p.same(p.fetch("hf:who/secret", HF_TOKEN="hf_reader"), plain())
    p.same(p.fetch("hf:who/gate", HUGGING_FACE_HUB_TOKEN=" hf_writer\n"), plain())
    assert not [h for _, h in p.hub.asked("store") if "Authorization" in h], "the store gets no token"
    assert [h["Authorization"] for _, h in p.hub.asked("HEAD hub /who/gate/resolve/.*model")][-1] == "Bearer hf_writer"


@check
def tokens_in_files(p):
    p.hub.add("who/secret", plain(), private=True)
    place = p.home / ".cache/huggingface/token"
    place.parent.mkdir(parents=True)
    place.write_text("hf_reader\n")
    place.chmod(0o600)
    done = p.run("fetch", "hf:who/secret")
    assert "chmod" not in done.stderr
    shutil.rmtree(p.cache)
    place.chmod(0o644)
    assert "others can read the token; chmod 600" in p.run("fetch", "hf:who/secret").stderr
    shutil.rmtree(p.cache)
    place.write_text("hf_rea\x01der")
    assert "characters that no token has" in p.run("fetch", "hf:who/secret", code=2)
    other = p.folder / "elsewhere"
    other.write_text("hf_reader")
    other.chmod(0o600)
    p.same(p.fetch("hf:who/secret", HF_TOKEN_PATH=str(other)), plain())
    shutil.rmtree(p.cache)
    place.write_text("hf_reader")
    p.refused("set HF_TOKEN", "hf:who/secret", HF_HUB_DISABLE_IMPLICIT_TOKEN="1", HF_TOKEN_PATH="/nonexistent")


@check
def redirects(p):
    p.hub.add("who/m", plain(), private=True)
    commit = p.hub.repos["who/m"].refs["main"]
    p.hub.fault("hub /api/models/old/m/revision", status=307, headers={"Location": "/moved/api/models/who/m/revision/main"})
    for file in plain():
        p.hub.fault(f"hub /old/m/resolve/.*{file}", times=2, status=307, headers={"Location": f"/who/m/resolve/{commit}/{file}"})
    p.same(p.fetch("hf:old/m", HF_TOKEN="hf_reader"), plain())
    assert all("Authorization" in h for _, h in p.hub.asked(" hub ")), "the hub's own redirects keep the token"
    assert not [h for _, h in p.hub.asked(" store ") if "Authorization" in h]
    # Another host that asks for more: no token there either.
    shutil.rmtree(p.cache)
    p.hub.forget()
    p.hub.fault("hub /api/models/who/m/revision", status=302, headers={"Location": p.hub.store_url + "/api/elsewhere"})
    p.refused("has no such model, or does not show it", HF_TOKEN="hf_reader")
    assert [("Authorization" in h) for _, h in p.hub.asked("store /api/elsewhere")] == [False]
    p.hub.fault("revision/main", times=99, status=302, headers={"Location": "/api/models/who/m/revision/main"})
    p.refused("redirects do not end", HF_TOKEN="hf_reader")


@check
def without_a_net(p):
    data = plain()
    commit = p.hub.add("who/m", data)
    p.refused("is not in", HF_HUB_OFFLINE="1")
    path = p.fetch()
    p.hub.forget()
    assert p.fetch(HF_HUB_OFFLINE="ON") == path and p.fetch(TRANSFORMERS_OFFLINE="yes") == path
    assert p.fetch(f"hf:who/m@{commit}", HF_HUB_OFFLINE="true") == path
    assert not p.hub.asked("."), "nobody was asked"
    with_note = p.run("fetch", "hf:who/m", HF_ENDPOINT="http://127.0.0.1:1")
    assert "the copy in the cache is used" in with_note.stderr and with_note.stdout.strip() == str(path)
    p.hub.fault("revision/main", times=99, status=503, headers={"Retry-After": "0"})
    assert p.fetch() == path
    p.refused("can't be reached", "hf:who/other", HF_ENDPOINT="http://127.0.0.1:1")
    p.refused("HF_HUB_OFFLINE is set", "hf:who/m@v2", HF_HUB_OFFLINE="1")


@check
def what_is_no_model(p):
    p.hub.add("who/a", {"model.safetensors": large()})
    p.refused("has no config.json", "hf:who/a")
    p.hub.add("who/b", {"config.json": b"{}", "pytorch_model.bin": b"x"})
    p.refused("only pytorch_model.bin", "hf:who/b")
    p.hub.fault("revision/main", status=200, body=b"<html>")
    p.refused("the hub's list of files", "hf:who/b")
    p.hub.add("who/c", plain())
    p.hub.fault("HEAD hub .*config.json", status=404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "0" * 40})
    p.refused("lists config.json, and does not have it", "hf:who/c")
    assert len(list(p.cache.glob("models--who--c/.no_exist/*/config.json"))) == 1
    out = p.run("fetch", "hf:who/c", "--json").stdout
    assert json.loads(out)["name"] == "hf:who/c"


@check
def two_at_once(p):
    """One downloads, the other waits for the lock and asks for nothing."""
    data = large(2_000_000)
    p.hub.add("who/m", plain(data))
    started, go = threading.Event(), threading.Event()
    p.hub.fault("GET store", hook=lambda: (started.set(), go.wait(60)))
    results = []
    first = threading.Thread(target=lambda: results.append(p.fetch()))
    first.start()
    assert started.wait(60)
    env = {"HOME": str(p.home), "HF_ENDPOINT": p.hub.url, "PATH": os.environ["PATH"], "LC_ALL": "C", **{k: v for k, v in os.environ.items() if k.startswith("TUBELET_")}}
    second = subprocess.Popen([TUBELET, "fetch", "hf:who/m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    for line in second.stderr:
        if "another process is downloading it; waiting" in line:
            break
    go.set()
    out, _ = second.communicate(timeout=60)
    first.join(60)
    assert second.returncode == 0 and out.strip() == str(results[0]) and len(p.hub.asked("GET store")) == 1


# ---- Wherever a MODEL is taken ----

@check
def models_of_a_hub_everywhere(p):
    p.hub.add("who/m", p.files)
    near = p.run("info", RUN, "--json").stdout
    far = p.run("info", "hf:who/m", "--json").stdout
    assert json.loads(far)["parameters"] == json.loads(near)["parameters"]
    same = ["--data", "phantom3d", "--split", "test", "--threads", "1", "--json"]
    assert json.loads(p.run("eval", "hf:who/m", *same).stdout)["loss"] == json.loads(p.run("eval", RUN, *same).stdout)["loss"]
    clip = p.folder / "clip.npy"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (28, 28, 28, 1), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    clip.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(i * 7 % 256 for i in range(28**3)))
    for command in (["predict", "MODEL", clip, "--json"], ["explain", "MODEL", clip, "--json"]):
        far, near = [p.run(*[m if a == "MODEL" else a for a in command], "--threads", "1").stdout for m in ("hf:who/m", RUN)]
        assert json.loads(far.splitlines()[0]).get("probabilities") == json.loads(near.splitlines()[0]).get("probabilities")
    p.run("convert", "hf:who/m", "out", "--quiet")
    assert (p.folder / "out/model.safetensors").exists()
    p.run("convert", "hf:who/m@main", "--precision", "int8", "--calibrate", "phantom3d", "--max-loss", "100", "--threads", "1", "--quiet")
    assert (p.folder / "m-int8/config.json").exists()
    p.run("train", "--data", "phantom3d", "--init-from", "hf:who/m", "--max-steps", "1", "--epochs", "1", "--threads", "1", "--out", "run", "--quiet")
    commit = p.hub.repos["who/m"].refs["main"]
    assert f"hf:who/m@{commit}" in (p.folder / "run/recipe.yaml").read_text(), "the very commit"
    assert f"`hf:who/m@{commit}`" in (p.folder / "run/README.md").read_text()
    p.hub.forget()
    if has_module("yaml"):
        (p.folder / "recipe.yaml").write_text("data: phantom3d\ninit_from: hf:who/m\nmax_steps: 1\n")
        p.run("train", "--recipe", "recipe.yaml", "--threads", "1", "--out", "again", "--quiet", HF_HUB_OFFLINE="1")
        assert f"hf:who/m@{commit}" in (p.folder / "again/recipe.yaml").read_text() and not p.hub.asked(".")
    assert json.loads(p.run("bench", "predict", "hf:who/m", "--threads", "1", "--repeats", "1", "--json").stdout.splitlines()[0])["bench"] == "predict"
    p.run("clip", clip, "out.npy", "--model", "hf:who/m", "--threads", "1")
    assert "does not say its data set" in p.run("eval", "hf:who/m", code=2)
    assert "name the page with --out" in p.run("report", "hf:who/m", "--data", "phantom3d", code=2)
    before = sorted(f.name for f in p.cache.rglob("*"))
    if has_module("draw"):
        p.run("report", "hf:who/m", "--data", "phantom3d", "--split", "val", "--threads", "1", "--out", "page.html")
        assert (p.folder / "page.html").exists()
    p.run("eval", "hf:who/m", "--data", "phantom3d", "--split", "val", "--threads", "1")
    assert before == sorted(f.name for f in p.cache.rglob("*")), "nothing else in the cache"
    if has_module("http"):
        assert p.serves("m", "serve", "hf:who/m", "--port", "0", "--threads", "1")
        assert "has no such model" in p.run("serve", "hf:who/nothing", "--port", "0", code=1)
    said = p.run("info", "hf:who/nothing", code=1)
    assert "has no such model" in said


# ---- Publishing ----

def card_of(p, name="me/m"):
    repo = p.hub.repos[name]
    return repo.commits[repo.refs["main"]]["README.md"].data.decode()


@check
def publishes(p):
    done = p.run("push", RUN, "hf:me/m", "--licence", "cc-by-4.0", "--json", **TOKEN)
    said = json.loads(done.stdout)
    repo = p.hub.repos["me/m"]
    files = repo.commits[repo.refs["main"]]
    assert {n: f.data for n, f in files.items() if n != "README.md"} == {n: d for n, d in p.files.items() if n != "README.md"}
    assert files["model.safetensors"].large and not files["config.json"].large
    assert said["commit"] == repo.refs["main"] and said["url"] == f"{p.hub.url}/me/m" and said["changed"] == said["files"] == len(files)
    card = card_of(p)
    assert card.startswith("---\nlibrary_name: tubelet\n") and "\nlicense: cc-by-4.0\n---\n" in card and card.count("license") == 1
    assert "model-index:" in card and "split: validation" in card and "name: Top-1 accuracy" in card
    assert "tubelet predict hf:me/m " in card and "MODEL_FOLDER" not in card and "which gets the model by itself:" in card
    assert not [h for _, h in p.hub.asked("store") if "Authorization" in h], "signed addresses get no token"
    assert [h["Authorization"] for _, h in p.hub.asked("POST hub")] == ["Bearer hf_writer"] * 5
    p.same(p.fetch("hf:me/m"), {n: f.data for n, f in files.items()})
    # Again: nothing has changed, and there is no empty commit.
    p.hub.forget()
    done = p.run("push", RUN, "hf:me/m", "--licence", "cc-by-4.0", **TOKEN)
    assert "no new commit" in done.stderr and not p.hub.asked("commit/|batch|store") and p.hub.repos["me/m"].refs["main"] == said["commit"]
    # Another licence: the card alone.
    p.run("push", RUN, "hf:me/m", "--licence", "mit", "-m", "a licence", **TOKEN)
    assert "\nlicense: mit\n" in card_of(p) and not p.hub.asked("store")
    assert repo.messages[repo.refs["main"]] == "a licence" and repo.messages[said["commit"]].startswith("Upload by tubelet ")


@check
def publishes_in_parts(p):
    p.hub.part_size = 10_000
    p.run("push", RUN, "hf:me/m", "--private", **TOKEN)
    size = len(p.files["model.safetensors"])
    assert len(p.hub.asked("PUT store /part")) == -(-size // 10_000) > 1
    assert p.hub.repos["me/m"].private and p.hub.objects[hashlib.sha256(p.files["model.safetensors"]).hexdigest()] == p.files["model.safetensors"]


@check
def header_lines_that_actions_ask_for(p):
    p.hub.action_headers = {"X-Store": "a b", "Authorization": "Basic abc"}
    p.run("push", RUN, "hf:me/m", **TOKEN)
    [(_, sent)] = p.hub.asked("PUT store /upload")
    assert sent["X-Store"] == "a b" and sent["Authorization"] == "Basic abc"
    [(_, verified)] = p.hub.asked("POST hub .*/verify")
    assert verified["X-Store"] == "a b" and verified["Authorization"] == "Basic abc" and verified["Content-Type"] == "application/json"
    assert not [h for line, h in p.hub.asked("store") if "hf_writer" in str(h)]
    # They go to no other address, and none becomes two.
    p.hub.objects.clear()
    p.hub.fault("PUT store", status=307, headers={"Location": "http://localhost:1/elsewhere"})
    assert "the store answered 307" in p.run("push", RUN, "hf:me/n", code=1, **TOKEN)
    p.hub.forget()
    p.hub.action_headers = {"X-Store": "a\r\nX-Evil: b"}
    assert "header lines that can't be sent" in p.run("push", RUN, "hf:me/n", code=1, **TOKEN)
    assert not p.hub.asked("PUT store")


@check
def publishes_through_faults(p):
    p.hub.part_size = 10_000
    p.hub.fault("PUT store /part/.*/2", status=500, headers={"Retry-After": "0"})
    p.hub.fault("POST hub .*batch", status=503, headers={"Retry-After": "0"})
    p.hub.fault("POST hub .*commit/main", status=429, headers={"Retry-After": "0"})
    p.run("push", RUN, "hf:me/m", **TOKEN)
    assert p.hub.repos["me/m"].commits[p.hub.repos["me/m"].refs["main"]]["model.safetensors"].data == p.files["model.safetensors"]
    # A commit whose fate is unknown is not sent again.
    p.hub.forget()
    p.hub.fault("POST hub .*commit/main", times=9, status=500, headers={"Retry-After": "0"})
    said = p.run("push", RUN, "hf:me/m", "--licence", "mit", code=1, **TOKEN)
    assert "answered 500 for the commit" in said and len(p.hub.asked("commit/main")) == 1


@check
def publishing_that_is_refused(p):
    def refused(words, *more, code=1, **env):
        said = p.run("push", RUN, *(more or ["hf:me/m"]), code=code, **env)
        assert words in said, said
    refused("publishing needs a token that may write: set HF_TOKEN", code=2)
    refused("the hub forbids it", HF_TOKEN="hf_reader")
    refused("does not know the token", HF_TOKEN="hf_nobody")
    refused("HF_HUB_OFFLINE is set", HF_HUB_OFFLINE="1", **TOKEN)
    refused("is no name on a hub", "me/m", code=2, **TOKEN)
    refused("needs a run or model folder", "--private", code=2, **TOKEN)
    refused("licence 'My own': hubs know", "hf:me/m", "--licence", "My own", code=2, **TOKEN)
    assert "me/m" not in p.hub.repos, "nothing was made"
    weights = hashlib.sha256(p.files["model.safetensors"]).hexdigest()
    p.hub.refused.add(weights)
    refused("does not take model.safetensors: too large for this plan", **TOKEN)
    p.hub.refused.clear()
    p.hub.fault("PUT store", status=400)
    refused("the store answered 400 for model.safetensors", **TOKEN)
    p.hub.fault("POST hub .*preupload", status=200, body=b'{"files": []}')
    refused("it says nothing of README.md", **TOKEN)
    p.hub.fault("POST hub .*batch", status=200, body=b'{"objects": [{"oid": "x", "size": 1}]}')
    refused("a file that is not ours", **TOKEN)
    refused("has no branch, tag or commit 'other'", "hf:me/m@other", **TOKEN)
    (p.folder / "empty").mkdir()
    said = p.run("push", p.folder / "empty", "hf:me/m", code=1, **TOKEN)
    assert "no config.json" in said, said


@check
def a_token_for_one_repository(p):
    """It may not make one, but may write to the one that is there."""
    p.hub.repos["me/m"] = server.Repo()
    p.hub.fault("POST hub /api/repos/create", status=403, headers={"X-Error-Message": "no"})
    p.run("push", RUN, "hf:me/m", **TOKEN)
    assert "config.json" in p.hub.repos["me/m"].commits[p.hub.repos["me/m"].refs["main"]]


@check
def a_card_without_sending(p):
    done = p.run("push", RUN, "hf:me/m", "--dry-run", "--licence", "apache-2.0")
    assert "license: apache-2.0" in done.stdout and "Nothing was sent" in done.stderr and not p.hub.asked(".")
    # One's own card keeps its words; a folder without one gets tubelet's.
    own = p.folder / "own"
    shutil.copytree(RUN, own)
    (own / "README.md").write_text("# Mine\n\nuse MODEL_FOLDER\n")
    out = p.run("push", own, "hf:me/m", "--dry-run", "--licence", "mit").stdout
    assert out.endswith("license: mit\n---\n# Mine\n\nuse hf:me/m\n"), out
    (own / "README.md").write_text("---\nlicense: other\nlicense_name: x\nlanguage: en\n---\ntext\n")
    assert p.run("push", own, "hf:me/m", "--dry-run", "--licence", "mit").stdout == "---\nlanguage: en\nlicense: mit\n---\ntext\n"
    assert p.run("push", own, "hf:me/m", "--dry-run").stdout == "---\nlicense: other\nlicense_name: x\nlanguage: en\n---\ntext\n"
    (own / "README.md").unlink()
    done = p.run("push", own, "hf:me/m", "--dry-run")
    assert "tubelet predict hf:me/m " in done.stdout and "The card names no licence" not in done.stdout


# ---- Spaces ----

@check
def a_space(p):
    p.run("space", RUN, "space", "--title", 'A "title"', "--licence", "apache-2.0")
    space = p.folder / "space"
    assert {f.name for f in space.iterdir()} == {"README.md", "Dockerfile", ".gitattributes", "tubelet.tar.gz", "model"}
    page = (space / "README.md").read_text()
    for line in ('title: "A \\"title\\""', "sdk: docker", "app_port: 7860", "license: apache-2.0"):
        assert f"\n{line}\n" in page.split("---\n")[1].join("\n\n"), line
    assert {f.name: f.read_bytes() for f in (space / "model").iterdir()} == p.files
    recipe = (space / "Dockerfile").read_text()
    assert 'CMD ["tubelet", "serve", "/model", "--bind", "0.0.0.0", "--port", "7860", "--frame-from", "https://huggingface.co"]' in recipe and "EXPOSE 7860" in recipe and "USER 1000" in recipe
    if has_module("http"):  # its command, but for folder and port
        [command] = re.findall(r"^CMD (.*)$", recipe, re.M)
        words = [{"/model": space / "model", "7860": "0"}.get(word, word) for word in json.loads(command)]
        assert words[0] == "tubelet"
        policy, options = p.serves("model", *words[1:])
        assert policy.endswith("frame-ancestors https://huggingface.co") and options is None, (policy, options)
    with tarfile.open(space / "tubelet.tar.gz") as sources:
        names = sources.getnames()
    assert {"meson.build", "tools/setup", "src/hub/space.c", "app/main.c", "LICENSE"} <= set(names)
    assert not [n for n in names if n.startswith(("/", "tests/", "build")) or ".." in n]
    for source in re.findall(r"^COPY (?!--from)(\S+)", recipe, re.M):
        assert (space / source).exists(), source
    assert "there already" in p.run("space", RUN, "space", code=1)
    assert "needs a run or model folder" in p.run("space", RUN, code=2)
    assert "hubs know" in p.run("space", RUN, "other", "--licence", "X Y", code=2)
    p.hub.add("who/m", p.files)
    p.run("space", "hf:who/m", "far")
    assert 'title: "m"' in (p.folder / "far/README.md").read_text()
    assert {f.name: f.read_bytes() for f in (p.folder / "far/model").iterdir()} == p.files


# ---- The guide ----

@check
def the_commands_of_the_guide(p):
    """Every one in docs/hub.md, in its order, by a shell."""
    guide = (pathlib.Path(__file__).resolve().parents[2] / "docs/hub.md").read_text()
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```", guide, re.M | re.S) for line in block.splitlines()]
    assert len([line for line in lines if "tubelet" in line]) >= 11
    p.hub.add("google/vivit-b-16x2-kinetics400", p.files)
    p.hub.repos["google/vivit-b-16x2-kinetics400"].refs["refs/pr/1"] = p.hub.repos["google/vivit-b-16x2-kinetics400"].refs["main"]
    (p.folder / "bin").mkdir()
    (p.folder / "bin/tubelet").symlink_to(TUBELET)
    shutil.copytree(RUN, p.folder / "runs/first")
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (28, 28, 28, 1), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    for name in ("clip.npy", "volume.npy"):
        (p.folder / name).write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(28**3))
    env = {"HOME": str(p.home), "HF_ENDPOINT": p.hub.url, "PATH": f"{p.folder}/bin:{os.environ['PATH']}", "LC_ALL": "C"}
    env.update({k: v for k, v in os.environ.items() if k.startswith(("TUBELET_", "ASAN_", "UBSAN_", "LSAN_"))})
    script = "set -e\n" + "\n".join(lines).replace("/tmp/elsewhere", str(p.folder / "elsewhere"))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=env, cwd=p.folder, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (p.folder / "organs-space/Dockerfile").exists() and (p.folder / "elsewhere/hub").exists()
    assert "\nlicense: cc-by-4.0\n" not in card_of(p, "me/organs"), "the last one named none"
    assert p.hub.repos["me/organs"].messages[p.hub.repos["me/organs"].refs["main"]] == "the best epoch"
    for url in re.findall(r"\]\((?!http)([^)#]+)", guide):
        assert (pathlib.Path(__file__).resolve().parents[2] / "docs" / url).exists(), url


print(f"[  PASSED  ] {passed} test(s).")
if failed:
    print(f"[  FAILED  ] {len(failed)} test(s): {', '.join(failed)}")
sys.exit(bool(failed))
