# SPDX-License-Identifier: Apache-2.0
"""A hub of models in memory, on free ports of this machine: what of huggingface.co's protocol a client needs to get and to publish
models, after the source of its own client (huggingface_hub: file_download.py, hf_api.py, _commit_api.py, lfs.py). Large files lie on a second
host, the store, behind redirects. Misbehaves when told. tests/interop/hub proves with the real client that it behaves like a hub."""
import base64
import hashlib
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LFS_TYPE = "application/vnd.git-lfs+json"
TOKENS = {"hf_reader": "reader", "hf_writer": "writer"}


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class File:
    """A file of a commit. Large ones are pointers in git, and objects in the store."""

    def __init__(self, data, large):
        self.data, self.large = data, large
        self.sha256 = hashlib.sha256(data).hexdigest()
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (self.sha256.encode(), len(data))
        self.oid = git_hash(pointer if large else data)

    @property
    def etag(self):
        return self.sha256 if self.large else self.oid


class Repo:
    def __init__(self, private=False, gated=False):
        self.private, self.gated = private, gated
        self.commits, self.refs, self.messages = {}, {}, {}
        self.commit({}, "initial commit")

    def commit(self, files, message, branch="main"):
        parent = self.refs.get(branch, "")
        facts = json.dumps([parent, message, len(self.commits)] + sorted((p, f.oid) for p, f in files.items()))
        oid = hashlib.sha1(facts.encode()).hexdigest()
        self.commits[oid], self.messages[oid], self.refs[branch] = files, message, oid
        return oid

    def resolve(self, revision):
        return revision if revision in self.commits else self.refs.get(revision)


class Fault:
    """The next `times` requests whose method and path match misbehave: status (with headers), cut (bytes after which the connection
    ends), drop (it ends without an answer), wrong (a byte of the body is another), whole (ranges are ignored)."""

    def __init__(self, pattern, times=1, status=None, headers=None, cut=None, drop=False, wrong=False, whole=False, body=b"", hook=None):
        self.pattern, self.times = re.compile(pattern), times
        self.status, self.headers, self.cut, self.wrong, self.whole, self.body = status, headers or {}, cut, wrong, whole, body
        self.hook, self.drop = hook, drop


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None
    store = False  # the second host

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **(headers or {})}
        fault = self.fault
        self.send_response(status)
        sent = {"Content-Length": str(len(body)), **(headers or {})}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault and fault.wrong and len(body) > 100:
            body = body[:50] + bytes([body[50] ^ 1]) + body[51:]
        if fault and fault.cut is not None and fault.cut < len(body):
            self.wfile.write(body[: fault.cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.wfile.write(body)

    def refuse(self, status, code=None, message=None, body=None):
        headers = {}
        if code:
            headers["X-Error-Code"] = code
        if message:
            headers["X-Error-Message"] = message
        self.answer(status, body if body is not None else {"error": message or code or "refused"}, headers)

    def content(self, data, headers):
        """A file, or the part of it that is asked for."""
        ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = {"Accept-Ranges": "bytes", **headers}
        if not ranged or (self.fault and self.fault.whole):
            return self.answer(200, data, headers)
        first, last = int(ranged[1]), int(ranged[2] or len(data) - 1)
        if first >= len(data):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self.answer(206, data[first : last + 1], headers)

    def handle_one(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.sent = self.rfile.read(length) if length else b""
        url = urllib.parse.urlsplit(self.path)
        self.route, self.query = url.path, urllib.parse.parse_qs(url.query)
        line = f"{self.command} {'store' if self.store else 'hub'} {self.path}"
        with self.hub.lock:
            self.hub.log.append((line, dict(self.headers.items())))
            self.fault = next((f for f in self.hub.faults if f.times > 0 and f.pattern.search(line)), None)
            if self.fault:
                self.fault.times -= 1
        if self.fault and self.fault.hook:
            self.fault.hook()
        if self.fault and self.fault.drop:
            self.close_connection = True
            return self.connection.shutdown(2)
        if self.fault and self.fault.status:
            return self.answer(self.fault.status, self.fault.body, self.fault.headers)
        for method, pattern, act in self.routes():
            found = re.fullmatch(pattern, self.route)
            if found and (method == self.command or (method == "GET" and self.command == "HEAD")):
                return act(*[urllib.parse.unquote(part) for part in found.groups() if part is not None])
        return self.refuse(404, None, None, b"Not Found")

    do_GET = do_HEAD = do_POST = do_PUT = handle_one

    # ---- Who asks ----

    def user(self):
        """The user; None: nobody; False: a token that nobody has."""
        said = self.headers.get("Authorization")
        if said is not None and said == self.hub.action_headers.get("Authorization"):
            return "writer"
        return None if said is None else TOKENS.get(said.removeprefix("Bearer "), False)

    def open_repo(self, name, write=False):
        """The repository, or None after a refusal."""
        user = self.user()
        repo = self.hub.repos.get(name)
        if user is False:
            return self.refuse(401, None, "Invalid credentials in Authorization header")
        if repo is None or (repo.private and user is None):
            return self.refuse(401 if user is None else 404, "RepoNotFound", "Repository not found")
        if write and user != "writer":
            return self.refuse(403 if user else 401, None, "You don't have the rights to write here")
        return repo

    def open_revision(self, name, revision):
        repo = self.open_repo(name)
        if repo is None:
            return None, None
        commit = repo.resolve(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repo, commit

    # ---- Reading ----

    def info(self, name, revision="main"):
        repo, commit = self.open_revision(name, revision)
        if commit is None:
            return None
        blobs = "blobs" in self.query
        files = [{"rfilename": p, **({"size": len(f.data), "blobId": f.oid} if blobs else {})} for p, f in sorted(repo.commits[commit].items())]
        return self.answer(200, {"_id": "1", "id": name, "modelId": name, "sha": commit, "private": repo.private, "gated": repo.gated,
            "disabled": False, "downloads": 0, "likes": 0, "tags": [], "createdAt": "2026-01-01T00:00:00.000Z", "siblings": files})

    def tree(self, name, revision, folder=""):
        repo, commit = self.open_revision(name, revision)
        if commit is None:
            return None
        return self.answer(200, [{"type": "file", "oid": f.oid, "size": len(f.data), "path": p,
            **({"lfs": {"oid": f.sha256, "size": len(f.data), "pointerSize": 130}} if f.large else {})}
            for p, f in sorted(repo.commits[commit].items()) if p.startswith(folder)])

    def resolve(self, name, revision, path):
        repo, commit = self.open_revision(name, revision)
        if commit is None:
            return None
        seen = {"X-Repo-Commit": commit}
        if repo.gated and self.user() != "writer":
            return self.refuse(403 if self.user() else 401, "GatedRepo", f"Access to model {name} is restricted.")
        if path not in repo.commits[commit]:
            self.fault = None
            return self.answer(404, b"Entry not found", {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", **seen})
        file = repo.commits[commit][path]
        if not file.large:  # from the hub itself, by a redirect without a host
            place = f"/api/resolve-cache/models/{name}/{commit}/{path}?etag=%22{file.oid}%22"
            return self.answer(307, b"Temporary Redirect", {"Location": place, **seen})
        place = f"{self.hub.store_url}/objects/{file.sha256}?X-Amz-Signature=secret"
        return self.answer(302, b"", {"Location": place, "ETag": '"0"', "X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(len(file.data)),
            "X-Xet-Hash": "a" * 64, "Link": f'<{self.hub.url}/api/models/{name}/xet-read-token/{commit}>; rel="xet-auth"', **seen})

    def small(self, name, commit, path):
        """Where resolve() leads for files that lie in git."""
        repo, commit = self.open_revision(name, commit)
        if commit is None or path not in repo.commits[commit]:
            return None
        file = repo.commits[commit][path]
        return self.content(file.data, {"ETag": f'"{file.oid}"', "X-Repo-Commit": commit})

    def moved(self, path):
        return self.answer(307, b"", {"Location": f"/{path}" + (f"?{urllib.parse.urlsplit(self.path).query}" if "?" in self.path else "")})

    def objects(self, sha256):
        data = self.hub.objects.get(sha256)
        if data is None or "X-Amz-Signature" not in self.query:
            return self.answer(403, b"<Error/>")
        return self.content(data, {"ETag": '"md5-of-the-store"'})

    # ---- Publishing ----

    def create(self):
        user, asked = self.user(), json.loads(self.sent)
        name = f"{asked.get('organization') or user}/{asked['name']}"
        if not user:
            return self.refuse(401, None, "Invalid username or password.")
        if user != "writer":
            return self.refuse(403, None, "You don't have the rights to create a model under this namespace")
        if name in self.hub.repos:
            return self.answer(409, {"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"})
        self.hub.repos[name] = Repo(private=asked.get("visibility") == "private")
        return self.answer(200, {"url": f"{self.hub.url}/{name}", "name": name, "id": "1"})

    def preupload(self, name, revision):
        repo = self.open_repo(name, write=True)
        if repo is None:
            return None
        commit = repo.resolve(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        answers = []
        for file in json.loads(self.sent)["files"]:
            base64.b64decode(file["sample"], validate=True)
            there = repo.commits[commit].get(file["path"])
            large = file["path"].endswith((".safetensors", ".bin")) or file["size"] > 10 << 20
            answers.append({"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False,
                "oid": there.etag if there else None})
        return self.answer(200, {"files": answers, "commitOid": commit})

    def batch(self, name):
        if self.open_repo(name, write=True) is None:
            return None
        asked = json.loads(self.sent)
        assert self.headers["Accept"] == LFS_TYPE and self.headers["Content-Type"] == LFS_TYPE, "of git-lfs"
        assert asked["operation"] == "upload" and asked["hash_algo"] == "sha256" and asked["ref"]["name"]
        objects = []
        for one in asked["objects"]:
            oid, size = one["oid"], one["size"]
            part = self.hub.part_size
            header = dict(self.hub.action_headers)
            href = f"{self.hub.store_url}/upload/{oid}?X-Amz-Signature=secret"
            if oid in self.hub.refused:
                objects.append({"oid": oid, "size": size, "error": {"code": 422, "message": "too large for this plan"}})
                continue
            if oid in self.hub.objects:
                objects.append({"oid": oid, "size": size})
                continue
            if part and size > part and "multipart" in asked["transfers"]:
                count = -(-size // part)
                header = {"chunk_size": str(part), **{f"{i + 1:05}": f"{self.hub.store_url}/part/{oid}/{i + 1}?X-Amz-Signature=secret" for i in range(count)}}
                href = f"{self.hub.url}/api/complete_multipart?uploadId={oid}"
            objects.append({"oid": oid, "size": size, "authenticated": True, "actions": {
                "upload": {"href": href, "header": header},
                "verify": {"href": f"{self.hub.url}/{name}.git/info/lfs/objects/verify", "header": dict(self.hub.action_headers)}}})
        return self.answer(200, {"transfer": "multipart" if part else "basic", "objects": objects}, {"Content-Type": LFS_TYPE})

    def upload(self, oid):
        if self.headers.get("Authorization") != self.hub.action_headers.get("Authorization"):
            return self.answer(400, b"<Error>only one auth mechanism allowed</Error>")
        if hashlib.sha256(self.sent).hexdigest() != oid:
            return self.answer(400, b"<Error>BadDigest</Error>")
        self.hub.objects[oid] = self.sent
        return self.answer(200, b"", {"ETag": f'"{hashlib.md5(self.sent).hexdigest()}"'})

    def part(self, oid, number):
        if self.headers.get("Authorization"):
            return self.answer(400, b"<Error>only one auth mechanism allowed</Error>")
        self.hub.parts.setdefault(oid, {})[int(number)] = self.sent
        return self.answer(200, b"", {"ETag": f'"{hashlib.md5(self.sent).hexdigest()}"'})

    def complete(self):
        asked = json.loads(self.sent)
        parts = self.hub.parts.pop(asked["oid"], {})
        for i, one in enumerate(asked["parts"]):
            if one["partNumber"] != i + 1 or one["etag"].strip('"') != hashlib.md5(parts[i + 1]).hexdigest():
                return self.refuse(400, None, "a part is another one")
        data = b"".join(parts[i + 1] for i in range(len(asked["parts"])))
        if hashlib.sha256(data).hexdigest() != asked["oid"]:
            return self.refuse(400, None, "the parts are another object")
        self.hub.objects[asked["oid"]] = data
        return self.answer(200, {"success": True})

    def verify(self, name):
        if self.open_repo(name, write=True) is None:
            return None
        asked = json.loads(self.sent)
        right = len(self.hub.objects.get(asked["oid"], b"")) == asked["size"] and asked["oid"] in self.hub.objects
        return self.answer(200, {}) if right else self.refuse(404, None, "Object was not uploaded")

    def commit(self, name, revision):
        repo = self.open_repo(name, write=True)
        if repo is None:
            return None
        if self.headers["Content-Type"] != "application/x-ndjson":
            return self.refuse(415, None, "not NDJSON")
        lines = [json.loads(line) for line in self.sent.decode().splitlines()]
        parent = repo.resolve(revision)
        if parent is None or not lines or lines[0]["key"] != "header" or not lines[0]["value"]["summary"]:
            return self.refuse(400, None, "no header, or no such branch")
        files = dict(repo.commits[parent])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = File(base64.b64decode(value["content"], validate=True), False)
            elif line["key"] == "lfsFile" and value["oid"] in self.hub.objects:
                files[value["path"]] = File(self.hub.objects[value["oid"]], True)
            elif line["key"] in ("deletedFile", "deletedFolder"):
                files = {p: f for p, f in files.items() if p != value["path"] and not p.startswith(value["path"] + "/")}
            else:
                return self.refuse(400, None, f"LFS pointer pointed to a file that does not exist: {value['path']}")
        oid = repo.commit(files, lines[0]["value"]["summary"], revision)
        return self.answer(200, {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "hookOutput": ""})

    def yaml(self):
        return self.answer(200, {"errors": [], "warnings": []})

    def whoami(self):
        user = self.user()
        return self.answer(200, {"type": "user", "name": user, "auth": {}}) if user else self.refuse(401, None, "Invalid username or password.")

    def routes(self):
        if self.store:
            return [("GET", r"/objects/([0-9a-f]{64})", self.objects), ("PUT", r"/upload/([0-9a-f]{64})", self.upload),
                ("PUT", r"/part/([0-9a-f]{64})/(\d+)", self.part)]
        name = r"([^/]+/[^/]+)"
        return [("GET", rf"/api/models/{name}", self.info), ("GET", rf"/api/models/{name}/revision/([^/]+)", self.info),
            ("GET", rf"/api/models/{name}/tree/([^/]+)(?:/(.*))?", self.tree), ("GET", r"/moved/(.*)", self.moved),
            ("GET", rf"/{name}/resolve/([^/]+)/(.+)", self.resolve), ("POST", r"/api/repos/create", self.create),
            ("GET", rf"/api/resolve-cache/models/{name}/([^/]+)/(.+)", self.small),
            ("POST", rf"/api/models/{name}/preupload/([^/]+)", self.preupload), ("POST", rf"/{name}\.git/info/lfs/objects/batch", self.batch),
            ("POST", rf"/{name}\.git/info/lfs/objects/verify", self.verify), ("POST", r"/api/complete_multipart", self.complete),
            ("POST", rf"/api/models/{name}/commit/([^/]+)", self.commit), ("POST", r"/api/validate-yaml", self.yaml), ("GET", r"/api/whoami-v2", self.whoami)]


class Hub:
    """Starts both hosts; stop() ends them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.repos, self.objects, self.parts, self.refused = {}, {}, {}, set()
        self.log, self.faults, self.part_size = [], [], 0
        self.action_headers = {}  # that git-lfs' actions ask for, whole uploads and verifying
        self.servers = []
        for store in (False, True):
            handler = type("Bound", (Handler,), {"hub": self, "store": store})
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            self.servers.append(server)
        self.url, self.store_url = [f"http://127.0.0.1:{s.server_address[1]}" for s in self.servers]

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def add(self, name, files, branch="main", **settings):
        """Commits files (path to bytes) into a repository, made where it is missing."""
        repo = self.repos.setdefault(name, Repo(**settings))
        made = {p: File(d, p.endswith(".safetensors")) for p, d in files.items()}
        self.objects.update({f.sha256: f.data for f in made.values() if f.large})
        return repo.commit(made, "files", branch)

    def fault(self, pattern, **how):
        self.faults.append(Fault(pattern, **how))

    def forget(self):
        """Clears the log and the faults."""
        with self.lock:
            self.log, self.faults = [], []

    def asked(self, pattern):
        """Requests so far whose "METHOD hub|store PATH" matches, with their headers."""
        with self.lock:
            return [(line, headers) for line, headers in self.log if re.search(pattern, line)]
