#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server's page in a real browser: browse_page.py PROGRAM FOLDER [PICTURES]

FOLDER holds models (day: dark and bright videos; classes, heads, baseline: small volumes) and files (film.webm, dark.gif, volume.npy,
broken.mp4). Clips are given as a visitor gives them, and what the page then shows is held against what the program itself says of the
same file. The last line is "N passed, N failed"."""
import array
import ast
import http.server
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import urllib.parse

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from serving import Checks, Server

PATIENCE = 90  # seconds, on a machine that does other things too
YELLOW = [253, 231, 37]  # viridis at its end


def browser_options():
    o = webdriver.ChromeOptions()
    o.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
                     "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--window-size=1400,900"):
        o.add_argument(argument)
    o.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return o


def read_npy(path):
    """(shape, flat values) of a small .npy."""
    data = open(path, "rb").read()
    size = struct.unpack_from("<H", data, 8)[0]
    head = ast.literal_eval(data[10:10 + size].decode())
    return head["shape"], array.array({"<f4": "f", "|u1": "B"}[head["descr"]], data[10 + size:])


class Tour:
    def __init__(self, program, driver, folder, checks):
        self.program, self.driver, self.folder, self.checks = program, driver, folder, checks
        self.expected = []  # what the console may say: answers that were meant to be refusals
        self.said = []

    # ---- the program ----

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *arguments):
        return subprocess.run([self.program, *arguments], check=True, capture_output=True, text=True).stdout

    def predict(self, model, path, *options):
        return [json.loads(line) for line in self.run("predict", self.path(model), path, "--json", *options).splitlines()]

    # ---- the page ----

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def js(self, code, *arguments):
        return self.driver.execute_script("return " + code, *arguments)

    def until(self, what, condition):
        try:
            return WebDriverWait(self.driver, PATIENCE).until(condition)
        except TimeoutException:
            raise RuntimeError(f"{what} did not come; status '{self.text('#status')}', problem '{self.text('#problem')}'") from None

    def text(self, selector):
        return self.js("document.querySelector(arguments[0]).textContent", selector).replace("\u00a0", " ").strip()

    def open(self, address):
        self.driver.get(address)
        self.until("the samples", lambda d: len(self.all("#samples button")) > 0)

    def settled(self, name):
        """An answer about a file has come: the last thing that is said of it."""
        self.until(f"the answer about {name}", lambda d: self.text("#status").startswith(name) and "Answered" in self.text("#status"))

    def choose(self, model):
        Select(self.find("#model")).select_by_visible_text(model)
        self.until(model, lambda d: self.js("document.getElementById('facts').textContent !== ''"))

    def give(self, name):
        self.js("void (document.getElementById('status').textContent = '')")
        self.find("#file").send_keys(self.path(name))

    def shown(self):
        """{class: probability} of the bars, by their order."""
        return self.js("[...document.querySelectorAll('#bars li')].map((li) => [li.querySelector('.name').textContent, "
                       "Number(li.querySelector('data').value)])")

    def set_range(self, element, value):
        self.js("void ((e, v) => { e.value = v; e.dispatchEvent(new Event('input')); })(document.getElementById(arguments[0]), arguments[1])",
                element, value)

    def pixels(self):
        return self.js("(() => { const c = document.getElementById('canvas'); return [c.width, c.height, "
                       "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]; })()")

    def console(self):
        """Keeps what the console says against the page, but for refusals that were meant."""
        for entry in self.driver.get_log("browser"):
            meant = entry["source"] == "network" and any(f"status of {s} " in entry["message"] for s in self.expected)
            ours = "willReadFrequently" in entry["message"]  # of reading pixels() here
            if entry["level"] in ("SEVERE", "WARNING") and not meant and not ours:
                self.said.append(entry["message"])
        self.expected = []

    def requests_to_others(self, home):
        """(addresses that the browser has asked for since the last time, those of them that are not at home)."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        place = urllib.parse.urlsplit(home).netloc
        return asked, [u for u in asked if urllib.parse.urlsplit(u).netloc != place and not u.startswith(("blob:", "data:", "about:"))]

    def check_requests(self, server):
        asked, others = self.requests_to_others(server.address)
        self.checks.note("requests were seen", len(asked) > 10, len(asked))
        self.checks.same("requests to others", others, [])

    # ---- what is compared ----

    def check_answer(self, what, model, name):
        wanted = self.predict(model, self.path(name) if os.sep not in name else name)[0]
        self.check_shown(what, wanted)

    def check_shown(self, what, wanted):
        found = self.shown()
        label = self.text("#label")
        best = max(wanted["probabilities"])
        name = wanted["label"] or str(wanted["class"])  # a model without labels has numbers
        self.checks.same(f"{what}: class and probability", label, f"{name}{100 * best:.1f} %")
        self.checks.same(f"{what}: probabilities", [round(p, 6) for _, p in found],
                         [round(p, 6) for p in sorted(wanted["probabilities"], reverse=True)])
        self.checks.same(f"{what}: the first bar", found[0][0], name)


def check_start(t):
    t.checks.same("models", [o.text for o in Select(t.find("#model")).options], ["baseline", "classes", "day", "heads"])
    t.checks.same("samples", len(t.all("#samples img")), 8)
    t.checks.note("samples are drawn", t.js("[...document.querySelectorAll('#samples img')].every((i) => i.complete && i.naturalWidth > 0)"))
    t.checks.note("nothing is found before anything is given", not t.find("#found").is_displayed() and t.find("#empty").is_displayed())


def check_video(t):
    """A video of 15 seconds, dark, bright and dark again: its answer, the browser's own player, and a timeline unasked."""
    t.choose("day")
    t.give("film.webm")
    t.settled("film.webm")
    t.check_answer("a video", "day", "film.webm")
    t.checks.note("the video is shown", t.find("#video").is_displayed() and t.js("document.getElementById('video').videoWidth") == 160)
    wanted = t.predict("day", t.path("film.webm"), "--window=1s")
    t.until("the timeline", lambda d: len(t.all("#windows tr")) > 0)
    check_rows(t, "timeline", wanted)
    t.checks.same("pieces of the strip", len(t.all("#strip span")), len(wanted))
    t.all("#windows button")[6].click()
    t.check_shown("a window", wanted[6])
    t.checks.same("which window", t.text("#answer-of"), "0:06.0 – 0:07.0")
    t.checks.note("the video goes there", 6 <= t.js("document.getElementById('video').currentTime") < 9)
    for element, value in (("window", "2.5"), ("hop", "0.5")):
        t.find(f"#{element}").clear()
        t.find(f"#{element}").send_keys(value)
    t.find("#timeline-form button").click()
    wanted = t.predict("day", t.path("film.webm"), "--window=2.5s", "--hop=0.5s")
    t.until("another timeline", lambda d: len(t.all("#windows tr")) == len(wanted))
    check_rows(t, "windows over each other", wanted)


def check_rows(t, what, wanted):
    rows = t.js("[...document.querySelectorAll('#windows tr')].map((r) => [r.cells[0].textContent, r.cells[1].textContent, "
                "Number(r.querySelector('data').value).toFixed(6)])")
    clock = lambda s: f"{int(s // 60)}:{s % 60:04.1f}"
    t.checks.same(f"{what}: rows", rows, [[f"{clock(w['start'])} – {clock(w['end'])}", w["label"], f"{max(w['probabilities']):.6f}"]
                                          for w in wanted])


def check_attention(t):
    """The canvas against what the program writes of the same clip, bare and with the map."""
    work = t.path("look")
    t.run("clip", t.path("film.webm"), work + "-clip.npy", "--model", t.path("day"))
    t.run("explain", t.path("day"), t.path("film.webm"), "--method", "rollout", "--out", work)
    (count, height, width, channels), scaled = read_npy(work + "-clip.npy")  # from 0 to 1
    levels = [round(255 * v) for v in scaled]
    _, values = read_npy(work + ".npy")
    if t.find("#play").get_attribute("aria-label") == "Pause":
        t.find("#play").click()
    t.set_range("strength", 0)
    area = height * width
    for frame in (0, count // 2, count - 1):
        t.set_range("frame", frame)
        w, h, rgba = t.pixels()
        t.checks.same("the canvas has the clip's size", (w, h), (width, height))
        wanted = [levels[(frame * area + i) * channels + c] for i in range(area) for c in range(3)]
        t.checks.note(f"frame {frame} is the model's", [v for i, v in enumerate(rgba) if i % 4 < 3] == wanted)
        t.checks.same(f"frame {frame} in words", t.text("#frame-text"), f"{frame + 1} / {count}")
    t.checks.note("dark and bright frames", len(set(levels)) > 1)
    most = max(range(len(values)), key=lambda i: values[i])
    t.set_range("frame", most // area)
    bare = t.pixels()[2]
    t.set_range("strength", 100)
    over = t.pixels()[2]
    at = 4 * (most % area)
    t.checks.same("the map's largest value has its colour", over[at:at + 3], YELLOW)
    t.set_range("strength", 50)
    half = t.pixels()[2]
    t.checks.note("the slider changes the picture", bare != half != over != bare)
    gray = 0.299 * bare[at] + 0.587 * bare[at + 1] + 0.114 * bare[at + 2]
    t.checks.note("half of it is half of the colour", all(abs(half[at + c] - (gray + YELLOW[c]) / 2) <= 1 for c in range(3)))
    least = min(range(len(values)), key=lambda i: values[i])
    t.set_range("frame", least // area)
    t.find("#stretch").click()
    at = 4 * (least % area)
    stretched = t.pixels()[2][at:at + 3]
    t.set_range("strength", 0)
    plain = t.pixels()[2][at:at + 3]
    gray = round(0.299 * plain[0] + 0.587 * plain[1] + 0.114 * plain[2])
    t.checks.note("from the least value on: none of its colour", all(abs(v - gray) <= 1 for v in stretched), (stretched, plain))
    t.find("#stretch").click()
    t.set_range("strength", 75)
    sums = [sum(values[f * area:(f + 1) * area]) for f in range(count)]
    first = sums.index(max(sums))
    t.checks.same("the frame with most", t.text("#most"), f"Frame {first + 1} has most of the map: {100 * sums[first] / sum(sums):.1f} % of it.")
    t.checks.same("bars of frames", len(t.all("#profile span")), count)


def check_methods(t):
    """Another map of the same clip, of a class; and the animation that the server draws."""
    before = t.pixels()[2]
    t.checks.note("no class to choose for a rollout", not t.find("#target").is_displayed())
    for select, value in (("#method", "Gradient rollout, for a class"), ("#target", "dark")):
        t.js("void (document.getElementById('status').textContent = '')")
        Select(t.find(select)).select_by_visible_text(value)
        t.settled("film.webm")
    t.checks.note("another map", t.pixels()[2] != before)
    folder = t.path("saved")
    os.mkdir(folder)
    t.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder})
    t.find("#save").click()
    saved = os.path.join(folder, "film-attention.gif")
    t.until("the animation", lambda d: os.path.exists(saved) and os.path.getsize(saved) > 0)
    data = open(saved, "rb").read()
    t.checks.note("the animation is a GIF", data.startswith(b"GIF89a") and data.endswith(b";"))
    t.js("void (document.getElementById('status').textContent = '')")
    Select(t.find("#method")).select_by_visible_text("Attention rollout")
    t.settled("film.webm")


def check_volumes(t):
    for model in ("classes", "baseline", "heads"):
        t.js("void (document.getElementById('status').textContent = '')")
        t.expected.append(400)  # a model of volumes is asked about the video that is still there
        t.choose(model)
        t.until("word of the video", lambda d: t.text("#problem") != "" or "Answered" in t.text("#status"))
        t.give("volume.npy")
        t.settled("volume.npy")
        if model == "heads":
            check_heads(t)
        else:
            t.check_answer(f"a volume, {model}", model, "volume.npy")
        t.checks.same(f"{model}: a map", t.find("#attention").is_displayed(), model != "baseline")
        t.checks.note(f"{model}: the model's frames alone", not t.find("#original").is_displayed() and not t.find("#timeline").is_displayed())
        t.checks.same(f"{model}: the frames' size", t.pixels()[:2], [8, 8])


def check_heads(t):
    wanted = t.predict("heads", t.path("volume.npy"))[0]
    found = t.shown()
    flat = [p for head in wanted["heads"] for p in head["probabilities"]] if "heads" in wanted else wanted["probabilities"]
    t.checks.same("heads: as many parts", [e.text for e in t.all("#bars h3")], ["Part 1", "Part 2"])
    t.checks.same("heads: probabilities", [round(p, 6) for _, p in found],
                  [round(p, 6) for head in (flat[:3], flat[3:]) for p in sorted(head, reverse=True)])


def check_samples(t, server):
    t.expected.append(400)  # a model of colours is asked about the gray volume that is still there
    t.choose("day")
    t.until("word of the volume", lambda d: "channel" in t.text("#problem"))
    t.console()
    t.js("void (document.getElementById('status').textContent = '')")
    listed = json.loads(server.get("samples")[1])
    t.all("#samples button")[5].click()
    name = t.js("document.querySelectorAll('#samples button')[5].file.name")
    t.settled(name)
    with open(t.path("sample.gif"), "wb") as file:
        file.write(server.get(listed[5]["path"])[1])
    t.check_answer("a sample", "day", "sample.gif")
    t.checks.note("the animation is shown", t.find("#picture").is_displayed())
    t.checks.same("it is marked", [b.get_attribute("aria-pressed") for b in t.all("#samples button")].index("true"), 5)


def check_drop(t):
    t.js("void (document.getElementById('status').textContent = '')")
    data = list(open(t.path("dark.gif"), "rb").read())
    t.js("""void ((bytes) => { const held = new DataTransfer();
        held.items.add(new File([new Uint8Array(bytes)], 'dark.gif', { type: 'image/gif' }));
        document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: held, bubbles: true, cancelable: true })); })(arguments[0])""", data)
    t.settled("dark.gif")
    t.check_answer("what is dropped", "day", "dark.gif")


def check_refusals(t, server):
    """The server's own sentence; and the page goes on."""
    t.expected.append(400)
    sentence = server.refusal("day", t.path("broken.mp4"))
    t.find("#file").send_keys(t.path("broken.mp4"))
    t.until("the sentence", lambda d: t.text("#problem") != "")
    t.checks.same("a damaged file", t.text("#problem"), sentence)
    t.checks.note("no answer stays", not t.find("#found").is_displayed())
    t.console()
    t.give("cut.webm")
    t.settled("cut.webm")
    t.checks.same("what is lost of a file", t.text("#problem"), f"cut.webm: {t.predict('day', t.path('cut.webm'))[0]['damage']}")
    t.checks.note("and the answer about the rest", t.find("#found").is_displayed())
    t.console()
    t.give("dark.gif")
    t.settled("dark.gif")
    t.checks.same("the sentence goes", t.text("#problem"), "")
    t.expected.append(400)
    t.find("#window").clear()
    t.find("#window").send_keys("0.0000000001")
    t.js("void document.getElementById('window').removeAttribute('min')")
    t.find("#timeline-form button").click()
    t.until("word of the timeline", lambda d: "window" in t.text("#timeline-status") and "…" not in t.text("#timeline-status"))
    t.console()


def check_camera(t):
    t.js("void (document.getElementById('status').textContent = '')")
    t.find("#record").click()
    t.until("the camera", lambda d: t.js("document.activeElement.id") == "stop")
    t.until("pictures", lambda d: t.js("document.getElementById('viewfinder').currentTime") > 0.5)
    t.find("#stop").click()
    t.settled("camera.")
    t.checks.note("the recording is shown", t.find("#video").is_displayed() and not t.find("#camera").is_displayed())
    t.checks.note("there is an answer", t.text("#label").startswith(("dark", "bright")))
    t.find("#record").click()
    t.until("the camera again", lambda d: t.js("document.activeElement.id") == "stop")
    before = t.text("#status")
    t.find("#cancel").click()
    t.until("its end", lambda d: not t.find("#camera").is_displayed())
    t.checks.same("nothing is sent of what is cancelled", t.text("#status"), before)


FOCUSED = """(() => { const e = document.activeElement, seen = e.matches('#file') ? document.querySelector('label[for=file]') : e;
    const s = getComputedStyle(seen), r = seen.getBoundingClientRect();
    return [e === document.body ? '' : e.id || e.closest('[id]').id + '/' + e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,
      r.width > 0 && r.height > 0]; })()"""


def check_keyboard(t, server):
    """From the top with nothing but keys: a sample, the sliders, a window of the timeline."""
    t.open(server.address)
    Select(t.find("#model")).select_by_visible_text("day")
    t.js("void document.activeElement.blur()")
    press = lambda *keys: ActionChains(t.driver).send_keys(*keys).perform()
    visited = []

    def walk_to(wanted):
        for _ in range(60):
            press(Keys.TAB)
            name, outlined, there = t.js(FOCUSED)
            visited.append(name)
            t.checks.note(f"keyboard: {name} shows that it has the focus", outlined and there)
            if name == wanted:
                return
        raise RuntimeError(f"keyboard: {wanted} is not reached; only {visited}")

    walk_to("samples/BUTTON")
    press(Keys.ENTER)
    t.until("the answer to a key", lambda d: "Answered" in t.text("#status"))
    t.until("the end of moving", lambda d: t.js("document.activeElement.closest('#samples') !== null"))
    walk_to("play")
    press(Keys.SPACE)
    t.checks.same("keyboard: it stands", t.find("#play").get_attribute("aria-label"), "Play")
    walk_to("frame")
    press(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    t.checks.same("keyboard: the third frame", t.text("#frame-text"), "3 / 8")
    walk_to("strength")
    before = t.pixels()[2]
    press(Keys.HOME)
    t.checks.note("keyboard: without the map", t.text("#strength-text") == "0 %" and t.pixels()[2] != before)
    walk_to("window")
    walk_to("timeline-form/BUTTON")
    press(Keys.ENTER)
    t.until("the timeline by keys", lambda d: len(t.all("#windows tr")) > 0)
    walk_to("rows")
    walk_to("windows/BUTTON")
    press(Keys.ENTER)
    t.checks.note("keyboard: a window", t.text("#answer-of") != "")
    reachable = set(t.js("[...document.querySelectorAll('button, select, input, a[href]')].filter((e) => e.offsetParent && e.id).map((e) => e.id)"))
    t.open(server.address)
    t.js("void document.activeElement.blur()")
    for _ in range(4):
        press(Keys.TAB)
        visited.append(t.js(FOCUSED)[0])
    t.checks.same("keyboard: not reached", sorted(reachable - set(visited)), [])


def check_names(t):
    """Everything that can be worked has a name for those who hear the page."""
    nodes = t.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    worked = [n for n in nodes if n.get("role", {}).get("value") in ("button", "slider", "combobox", "textbox", "spinbutton", "link", "image")
              and not n.get("ignored")]
    t.checks.note("there is much to work", len(worked) > 12, len(worked))
    t.checks.same("without a name", [n["role"]["value"] for n in worked if not n.get("name", {}).get("value", "").strip()], [])
    live = [n for n in nodes if n.get("role", {}).get("value") in ("status", "alert")]
    t.checks.note("answers are told", len(live) >= 2, len(live))


def emulate(t, **features):
    t.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": n.replace("_", "-"), "value": v} for n, v in features.items()]})


def check_still(t, server):
    emulate(t, prefers_reduced_motion="reduce")
    t.open(server.address)
    t.choose("day")
    t.checks.same("still samples", (len(t.all("#samples canvas")), len(t.all("#samples img"))), (8, 0))
    t.give("film.webm")
    t.settled("film.webm")
    t.checks.note("nothing moves by itself", t.js("document.getElementById('video').paused")
                  and t.find("#play").get_attribute("aria-label") == "Play")
    t.give("dark.gif")
    t.settled("dark.gif")
    t.checks.note("no animation is shown", not t.find("#original").is_displayed())
    emulate(t)


def check_token(t, program):
    with open(t.path("token"), "w") as file:
        file.write("open sesame\n")
    with Server(program, t.path("day"), "--token-file", t.path("token")) as server:
        t.expected += [401] * 9
        t.driver.get(server.address)
        wrong = "The server does not take this token."
        for word, said in (("open barley", ""), ("open sesame", wrong)):
            t.until("the question", lambda d: t.find("#token-form").is_displayed() and t.text("#problem") == said)
            t.checks.same(f"before {word}: nothing", len(t.all("#samples li")), 0)
            t.checks.note(f"before {word}: no heading of samples", not t.find("#samples-title").is_displayed())
            t.find("#token").clear()
            t.find("#token").send_keys(word, Keys.ENTER)
        t.until("the samples", lambda d: len(t.all("#samples button")) == 8)
        t.checks.note("samples have a heading", t.find("#samples-title").is_displayed())
        t.checks.note("the question is gone", not t.find("#token-form").is_displayed() and t.text("#problem") == "")
        t.give("dark.gif")
        t.settled("dark.gif")
        t.check_answer("with a token", "day", "dark.gif")
        t.console()
        t.check_requests(server)
        t.driver.get("about:blank")


COUNT = """const [data, done] = arguments; const image = new Image();
    image.onload = () => { const c = document.createElement('canvas'); c.width = image.width; c.height = image.height;
      const x = c.getContext('2d'); x.drawImage(image, 0, 0); const all = new Uint32Array(x.getImageData(0, 0, c.width, c.height).data.buffer);
      done([image.width, image.height, new Set(all).size]); };
    image.src = 'data:image/png;base64,' + data;"""


def check_screens(t, server, pictures):
    import base64
    for width, height in ((390, 844), (1400, 900)):
        for scheme in ("light", "dark"):
            name = f"{width}-{scheme}"
            t.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1,
                                                                            "mobile": width < 500})
            emulate(t, prefers_color_scheme=scheme)
            t.open(server.address)
            for given in (False, True):
                if given:
                    t.choose("day")
                    t.give("film.webm")
                    t.until("the timeline", lambda d: len(t.all("#windows tr")) > 0)
                size = t.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
                t.checks.same(f"{name}: as wide as the window", size["width"], width)
                shot = t.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": {
                    "x": 0, "y": 0, "width": width, "height": max(size["height"], height), "scale": 1}})["data"]
                w, h, colours = t.driver.execute_async_script(COUNT, shot)
                t.checks.note(f"{name}: not blank", w == width and h >= height and colours > 100, (w, h, colours))
                if pictures:
                    with open(os.path.join(pictures, f"{name}{'-given' if given else ''}.png"), "wb") as file:
                        file.write(base64.b64decode(shot))
            back = t.js("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
            t.checks.same(f"{name}: colours", sum(back) > 380, scheme == "light")
            small = t.js("[...document.querySelectorAll('button, select, .button')].filter((e) => e.offsetParent && !e.closest('table')"
                         " && e.getBoundingClientRect().height < 36).map((e) => e.id || e.textContent)")
            t.checks.same(f"{name}: too small for a finger", small, [])
    t.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    emulate(t)


def check_policy(t, server):
    """What the page's policy is for; and that the console would have told of it."""
    t.open(server.address)
    t.console()
    kept, t.said = t.said, []
    t.js("void document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"window.caught = true\"><p style=\"margin:0\">')")
    refused = t.driver.execute_async_script("const done = arguments[0]; fetch('http://127.0.0.2:9/').then(() => done('read'), () => done('refused'))")
    t.checks.note("control: nothing inline runs", not t.js("window.caught === true"))
    t.checks.same("control: no other host is asked", refused, "refused")
    t.console()
    t.checks.note("control: requests to others are seen", len(t.requests_to_others("http://127.0.0.3:80/")[1]) > 10)
    t.checks.note("control: the console tells", sum("Content Security Policy" in line for line in t.said) >= 2, t.said)
    t.said = kept


FRAME = "<!doctype html><title>a hub</title><iframe src='%s' width='1200' height='800'></iframe>"


class Host(http.server.BaseHTTPRequestHandler):
    """A page elsewhere that shows another one in a frame."""
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write((FRAME % self.server.shown).encode())

    def log_message(self, *_):
        pass


def framed(t, program, host, *options):
    """Whether the page is there in a frame, and answers."""
    with Server(program, t.path("day"), *options) as server:
        host.shown = server.address
        t.driver.get(f"http://127.0.0.1:{host.server_port}/")
        t.driver.switch_to.frame(t.find("iframe"))
        shown = bool(t.all("#samples"))
        if shown:
            t.until("the samples", lambda d: len(t.all("#samples button")) > 0)
            t.give("dark.gif")
            t.settled("dark.gif")
        t.driver.switch_to.default_content()
        t.driver.get("about:blank")
        return shown


def check_frames(t, program):
    host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{host.server_port}"
    t.console()
    kept, t.said = t.said, []
    t.checks.same("in a frame of an origin that may", framed(t, program, host, "--frame-from", "https://example.org", "--frame-from", here), True)
    t.console()
    t.checks.same("what the console says of it", [line for line in t.said if "favicon" not in line], [])
    t.checks.same("in a frame of another origin", framed(t, program, host, "--frame-from", "https://example.org"), False)
    t.checks.same("in a frame, unasked", framed(t, program, host), False)
    t.console()
    t.checks.note("control: the console tells of frames", sum("frame" in line for line in t.said) >= 2, t.said)
    t.said = kept
    host.shutdown()


def main():
    program, folder = sys.argv[1:3]
    pictures = sys.argv[3] if len(sys.argv) > 3 else None
    checks = Checks()
    driver = webdriver.Chrome(options=browser_options(), service=Service(shutil.which("chromedriver")))
    t = Tour(program, driver, folder, checks)
    models = [t.path(m) for m in ("day", "classes", "heads", "baseline")]
    try:
        with Server(program, *models) as server:
            driver.execute_cdp_cmd("Network.enable", {})
            t.open(server.address)
            for step in (check_start, check_video, check_attention, check_methods, check_names, check_volumes):
                step(t)
                t.console()
            check_samples(t, server)
            check_drop(t)
            check_refusals(t, server)
            check_camera(t)
            check_keyboard(t, server)
            check_still(t, server)
            check_screens(t, server, pictures)
            t.console()
            t.check_requests(server)
            check_policy(t, server)
        check_token(t, program)
        check_frames(t, program)
        checks.same("the console", t.said, [])
    except RuntimeError as problem:
        t.console()
        checks.note("the tour", False, f"{problem}; console: {t.said}")
    finally:
        driver.quit()
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
