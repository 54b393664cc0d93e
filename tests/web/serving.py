# SPDX-License-Identifier: Apache-2.0
"""What the tests of the server's page share: counting, and a server that runs for as long as it is needed."""
import json
import os
import subprocess
import urllib.error
import urllib.request


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def note(self, what, good, figure=""):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print(f"FAILED: {what}: {figure}", flush=True)

    def same(self, what, found, wanted):
        self.note(what, found == wanted, f"{found!r}, and not {wanted!r}")

    def close(self):
        """Prints the last line; the exit code."""
        print(f"{self.passed} passed, {self.failed} failed")
        return int(self.failed > 0 or self.passed == 0)


class Server:
    """tubelet serve at a free port; its address is known as soon as it listens."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([program, "serve", *arguments, "--port=0", "--threads=1", "--reload=0"],
                                        stdout=subprocess.PIPE, text=True)
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "listening at " in line:
                self.address = line.split("listening at ")[1].strip()
                return
        raise RuntimeError("the server did not start: " + "".join(said))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=60)

    def get(self, path):
        with urllib.request.urlopen(self.address + path) as answer:
            return answer.headers, answer.read()

    def refusal(self, model, path):
        """The sentence with which a file is refused."""
        data = open(path, "rb").read()
        head = json.dumps({"inputs": [{"name": "file", "shape": [1], "datatype": "BYTES",
                                       "parameters": {"binary_data_size": len(data) + 4}}],
                           "parameters": {"filename": os.path.basename(path)}}).encode()
        request = urllib.request.Request(f"{self.address}v2/models/{model}_video/infer",
                                         head + len(data).to_bytes(4, "little") + data,
                                         {"Inference-Header-Content-Length": str(len(head))})
        try:
            urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            return json.load(error)["error"]
        return None
