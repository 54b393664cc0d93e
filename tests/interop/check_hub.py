#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hub's own client (huggingface_hub) and tubelet, over one hub on this machine.

  check_hub.py TUBELET MODEL       the program, and the folder of a small trained run

First the client alone against the hub of our tests, so that this is one; then what each leaves in the cache, used by the other; then
what each publishes, got by the other. The last lines are cmocka's words, by which ./check counts.
"""
import os

os.environ.update(HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_UPDATE_CHECK="1")
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "hub"))
import huggingface_hub as client
import server
from huggingface_hub import errors

TUBELET, RUN = map(os.path.realpath, sys.argv[1:3])
FILES = {p.name: p.read_bytes() for p in pathlib.Path(RUN).iterdir()
    if p.name in ("README.md", "config.json", "model.safetensors", "preprocessor_config.json")}
passed, failed = 0, []


def check(function):
    global passed
    hub, folder = server.Hub(), pathlib.Path(tempfile.mkdtemp(prefix="tubelet-hub."))
    try:
        function(hub, folder)
        passed += 1
    except Exception as problem:  # the other checks go on
        failed.append(function.__name__)
        print(f"FAILED {function.__name__}, line {problem.__traceback__.tb_next.tb_lineno}: {type(problem).__name__} {problem}")
    finally:
        hub.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return function


def tubelet(hub, folder, *arguments, **more):
    env = {"HOME": str(folder / "home"), "HF_HUB_CACHE": str(folder / "cache"), "HF_ENDPOINT": hub.url, "PATH": os.environ["PATH"], "LC_ALL": "C", **more}
    env.update({k: v for k, v in os.environ.items() if k.startswith("TUBELET_")})
    done = subprocess.run([TUBELET, *map(str, arguments)], capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def api(hub, token="hf_writer"):
    return client.HfApi(endpoint=hub.url, token=token)


def tree(folder):
    """Every name in a cache, what it links to or how long it is; without what belongs to the client alone."""
    names = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if "/trees" not in name and not path.is_dir():
            names[name] = os.readlink(path) if path.is_symlink() else "tag" if path.name == "CACHEDIR.TAG" else path.read_bytes()
    return names


def refuses(kind, act):
    try:
        act()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


@check
def the_hub_of_our_tests_is_one(hub, folder):
    """Down and up by the client alone, refusals included."""
    a = api(hub)
    assert a.whoami()["name"] == "writer"
    a.create_repo("me/m", exist_ok=True)
    a.create_repo("me/m", exist_ok=True)
    hub.part_size = 10_000
    a.upload_folder(repo_id="me/m", folder_path=RUN, allow_patterns=list(FILES))
    assert hub.asked("PUT store /part"), "in parts"
    hub.part_size = 0
    a.upload_file(repo_id="me/m", path_or_fileobj=b"x" * 1000, path_in_repo="other.safetensors")
    assert hub.asked("PUT store /upload"), "in one piece"
    path = pathlib.Path(a.snapshot_download("me/m", cache_dir=folder / "c"))
    assert {p.name: p.read_bytes() for p in path.iterdir()} == {**FILES, "other.safetensors": b"x" * 1000}
    hub.add("me/secret", FILES, private=True)
    hub.add("me/gate", FILES, gated=True)
    get = client.hf_hub_download
    refuses(errors.RepositoryNotFoundError, lambda: get("me/none", "config.json", endpoint=hub.url, token="hf_reader", cache_dir=folder / "c"))
    refuses(errors.RevisionNotFoundError, lambda: get("me/m", "config.json", revision="v9", endpoint=hub.url, cache_dir=folder / "c"))
    refuses(errors.EntryNotFoundError, lambda: get("me/m", "nothing.json", endpoint=hub.url, cache_dir=folder / "c"))
    refuses(errors.GatedRepoError, lambda: get("me/gate", "config.json", endpoint=hub.url, token="hf_reader", cache_dir=folder / "c"))
    refuses(errors.HfHubHTTPError, lambda: api(hub, "hf_reader").create_repo("other/m"))


@check
def both_leave_the_same(hub, folder):
    hub.add("who/m", FILES)
    tubelet(hub, folder, "fetch", "hf:who/m")
    client.snapshot_download("who/m", cache_dir=folder / "theirs", endpoint=hub.url)
    ours, theirs = tree(folder / "cache"), tree(folder / "theirs")
    locks = {n for n in ours if n.startswith(".locks/")}
    assert {n: v for n, v in ours.items() if n not in locks} == {n: v for n, v in theirs.items() if not n.startswith(".locks/")}
    assert {n for n in theirs if n.startswith(".locks/")} in (set(), locks), "locks of the same names, where any are left"
    modes = lambda root: sorted(oct(p.stat().st_mode) for p in root.glob("models--*/blobs/*"))
    assert modes(folder / "cache") == modes(folder / "theirs")


@check
def the_client_uses_our_cache(hub, folder):
    commit = hub.add("who/m", FILES)
    path = tubelet(hub, folder, "fetch", "hf:who/m")
    hub.forget()
    cache = folder / "cache"
    assert client.snapshot_download("who/m", cache_dir=cache, local_files_only=True) == path
    for name, data in FILES.items():
        for revision in (None, "main", commit):
            assert pathlib.Path(client.hf_hub_download("who/m", name, revision=revision, cache_dir=cache, local_files_only=True)).read_bytes() == data
        assert client.try_to_load_from_cache("who/m", name, cache_dir=cache)
    assert not hub.asked(".")
    assert client.snapshot_download("who/m", cache_dir=cache, endpoint=hub.url) == path and not hub.asked("GET .*resolve|store"), "nothing twice"
    [repo] = client.scan_cache_dir(cache).repos
    [revision] = repo.revisions
    assert not client.scan_cache_dir(cache).warnings and repo.repo_id == "who/m" and revision.commit_hash == commit and revision.refs == {"main"}
    assert {f.file_name for f in revision.files} == set(FILES)


@check
def tubelet_uses_the_clients_cache(hub, folder):
    hub.add("who/m", FILES)
    theirs = client.snapshot_download("who/m", cache_dir=folder / "cache", endpoint=hub.url)
    hub.forget()
    assert tubelet(hub, folder, "fetch", "hf:who/m", HF_HUB_OFFLINE="1") == theirs and not hub.asked(".")
    assert tubelet(hub, folder, "fetch", "hf:who/m") == theirs and not hub.asked("resolve|store")
    tubelet(hub, folder, "info", "hf:who/m", "--json", HF_HUB_OFFLINE="1")
    # One file by the client, the rest by tubelet; a newer version shares what did not change.
    shutil.rmtree(folder / "cache")
    client.hf_hub_download("who/m", "model.safetensors", cache_dir=folder / "cache", endpoint=hub.url)
    hub.forget()
    tubelet(hub, folder, "fetch", "hf:who/m")
    assert not hub.asked("model.safetensors|store")
    newer = hub.add("who/m", {**FILES, "README.md": b"newer"})
    assert tubelet(hub, folder, "fetch", "hf:who/m").endswith(newer) and not hub.asked("store")
    assert client.snapshot_download("who/m", cache_dir=folder / "cache", local_files_only=True).endswith(newer)


@check
def locks_hold_for_both(hub, folder):
    """While the client's lock of a blob is held, tubelet waits for it."""
    from huggingface_hub.utils import WeakFileLock
    commit = hub.add("who/m", FILES)
    etag = hub.repos["who/m"].commits[commit]["model.safetensors"].etag
    lock = folder / "cache/.locks/models--who--m" / f"{etag}.lock"
    lock.parent.mkdir(parents=True)
    env = {"HOME": str(folder), "HF_HUB_CACHE": str(folder / "cache"), "HF_ENDPOINT": hub.url, "PATH": os.environ["PATH"], "LC_ALL": "C",
        **{k: v for k, v in os.environ.items() if k.startswith("TUBELET_")}}
    with WeakFileLock(lock):
        waiting = subprocess.Popen([TUBELET, "fetch", "hf:who/m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        assert any("another process is downloading it; waiting" in line for line in waiting.stderr)
        assert not hub.asked("GET store")
    assert waiting.wait(60) == 0 and hub.asked("GET store")


@check
def the_client_gets_what_tubelet_publishes(hub, folder):
    hub.part_size = 10_000
    tubelet(hub, folder, "push", RUN, "hf:me/m", "--licence", "cc-by-4.0", "-m", "first", HF_TOKEN="hf_writer")
    path = pathlib.Path(client.snapshot_download("me/m", cache_dir=folder / "c", endpoint=hub.url))
    got = {p.name: p.read_bytes() for p in path.iterdir()}
    assert set(got) == set(FILES) and all(got[n] == FILES[n] for n in FILES if n != "README.md")
    card = client.ModelCard.load(path / "README.md")
    card.validate = lambda *_, **__: None
    assert card.data.license == "cc-by-4.0" and card.data.library_name == "tubelet" and card.data.pipeline_tag == "video-classification"
    results = {(r.metric_name, r.dataset_split): r.metric_value for r in card.data.eval_results}
    assert 0 <= results["Top-1 accuracy", "validation"] <= 1 and results["Log loss", "validation"] > 0 and ("AUC", "validation") in results
    assert card.data.eval_results[0].task_type == "video-classification" and card.data.eval_results[0].dataset_name == "phantom3d"
    # The client finds nothing to change, and tubelet nothing in what the client has published.
    before = hub.repos["me/m"].refs["main"]
    api(hub).upload_folder(repo_id="me/m", folder_path=path)
    assert hub.repos["me/m"].refs["main"] == before
    api(hub).create_repo("me/n")
    api(hub).upload_folder(repo_id="me/n", folder_path=path)
    hub.forget()
    (folder / "model").mkdir()
    for name, data in got.items():
        (folder / "model" / name).write_bytes(data)
    before = hub.repos["me/n"].refs["main"]
    tubelet(hub, folder, "push", folder / "model", "hf:me/n", HF_TOKEN="hf_writer")
    assert hub.repos["me/n"].refs["main"] == before and not hub.asked("commit/|store")


@check
def tubelet_gets_what_the_client_publishes(hub, folder):
    api(hub).create_repo("me/m", private=True)
    api(hub).upload_folder(repo_id="me/m", folder_path=RUN, allow_patterns=list(FILES))
    path = pathlib.Path(tubelet(hub, folder, "fetch", "hf:me/m", HF_TOKEN="hf_reader"))
    assert {p.name: p.read_bytes() for p in path.iterdir()} == FILES


@check
def a_space_has_a_head_that_the_hub_reads(hub, folder):
    tubelet(hub, folder, "space", RUN, folder / "space", "--title", 'The "first": 1', "--licence", "mit")
    data = client.SpaceCard.load(folder / "space/README.md").data
    assert (data.title, data.sdk, data.app_port, data.license, data.emoji) == ('The "first": 1', "docker", 7860, "mit", "\U0001f39e")
    assert data.sdk in client.constants.SPACES_SDK_TYPES


print(f"[  PASSED  ] {passed} test(s).")
if failed:
    print(f"[  FAILED  ] {len(failed)} test(s): {', '.join(failed)}")
sys.exit(bool(failed))
