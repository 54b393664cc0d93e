#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server's page without a browser: check_page.py PROGRAM SOURCES MODEL

What is served is what lies in SOURCES (app/web), under a policy that lets nothing else run; nothing is inline, nothing comes from elsewhere,
all ids are there once and used, what a script takes from another is there, colours can be told apart, and it stays small. The last line is "N passed, N failed"."""
import html.parser
import os
import re
import sys

from serving import Checks, Server

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".svg": "image/svg+xml"}
VOID = {"meta", "link", "img", "input", "br"}
FILE_LIMIT, ALL_LIMIT, LINES, COLUMNS = 16 << 10, 56 << 10, 400, 150
POLICY = {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'", "base-uri": "'none'",
          "form-action": "'none'", "frame-ancestors": "'none'"}
# What makes code or markup of text.
MAKERS = r"\b(eval|Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|setAttribute\(\"(?:on|style))\b"


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.faults, self.ids, self.refers, self.links, self.names = [], [], [], [], [], {}

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "style" or (tag == "script" and "src" not in a):
            self.faults.append(f"<{tag}> inline")
        self.faults += [f"{name} of <{tag}>" for name in a if name.startswith("on") or name == "style"]
        self.links += [a[name] for name in ("src", "href", "action") if name in a]
        self.refers += [word for name in ("for", "aria-labelledby", "aria-describedby") for word in a.get(name, "").split()]
        if "id" in a:
            self.ids.append(a["id"])
            self.names[a["id"]] = tag
        if tag == "img" and "alt" not in a:
            self.faults.append("an image without alt")

    def handle_endtag(self, tag):
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.faults.append(f"</{tag}> at {self.getpos()} closes what is not open")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script" and data.strip():
            self.faults.append("a script inline")


def check_markup(checks, sources):
    page = Page()
    page.feed(sources["index.html"])
    scripts = "".join(text for name, text in sources.items() if name.endswith(".js"))
    checks.same("nothing inline, all closed", page.faults + page.open, [])
    checks.same("ids that are there twice", [i for i in page.ids if page.ids.count(i) > 1], [])
    asked = set(re.findall(r'\$\("([^"]+)"\)', sources["page.js"]))
    named = set(re.findall(r'for \(const id of \[([^\]]*)\]', sources["page.js"]))
    asked |= {word for list_ in named for word in re.findall(r'"([^"]+)"', list_)}
    checks.note("scripts ask for many ids", len(asked) > 20, sorted(asked))
    checks.same("ids that are asked for and not there", sorted((asked | set(page.refers)) - set(page.ids)), [])
    styled = set(re.findall(r"#([a-z][a-z-]*)", re.sub(r"#[0-9a-f]{3,6}\b(?=[;,) ])", "", sources["page.css"])))
    checks.same("ids that are styled and not there", sorted(styled - set(page.ids)), [])
    checks.same("ids that nobody uses", sorted(set(page.ids) - asked - set(page.refers) - styled), [])
    checks.same("links", [link for link in page.links if re.match(r"[a-z]+:|/", link)], [])
    checks.same("makers of code", re.findall(MAKERS, scripts), [])
    return page


def check_modules(checks, sources):
    for name, text in sources.items():
        if not name.endswith(".js"):
            continue
        for names, other in re.findall(r'^import (.*?) from "\./([^"]+)";', text, re.M):
            checks.note(f"{name}: {other} is there", other in sources)
            exported = set(re.findall(r"^export (?:async )?(?:function|class|const|let) (\w+)", sources.get(other, ""), re.M))
            whole = re.match(r"\* as (\w+)", names)
            taken = set(re.findall(r"\b%s\.(\w+)" % whole[1], re.sub(r'"[^"]*"', "", text))) if whole else set(re.findall(r"\w+", names))
            checks.same(f"{name}: not in {other}", sorted(taken - exported), [])
            used = [n for n in taken if len(re.findall(r"\b%s\b" % n, text)) > 1 or whole]
            checks.same(f"{name}: taken from {other} and not used", sorted(taken - set(used)), [])


def check_sizes(checks, sources):
    for name, text in sources.items():
        checks.note(f"{name} is small", len(text) <= FILE_LIMIT and text.count("\n") <= LINES, len(text))
        checks.note(f"{name} has short lines", max(map(len, text.splitlines())) <= COLUMNS)
        checks.same(f"{name}: addresses", [u for u in re.findall(r"\w+://[^\s\"']+", text) if u != "http://www.w3.org/2000/svg"], [])
    checks.note("all is small", sum(map(len, sources.values())) <= ALL_LIMIT)


def brightness(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(c + c for c in colour[1:])
    parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((brightness(a), brightness(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def check_colours(checks, style):
    """Web Content Accessibility Guidelines 2: 4.5 of text, 3 of what is drawn."""
    schemes = [dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)]
    checks.same("schemes", len(schemes), 2)
    for name, c in zip(("light", "dark"), schemes):
        texts = [(t, b) for t in ("front", "faint", "accent") for b in ("back", "panel", "inset")] + [("on-accent", "accent"), ("bad", "bad-back")]
        drawn = [(f"c{i}", "panel") for i in range(8)] + [("fill", "panel"), ("fill", "inset")]
        for pairs, least in ((texts, 4.5), (drawn, 3)):
            for a, b in pairs:
                checks.note(f"{name}: {a} on {b}", contrast(c[a], c[b]) >= least, f"{contrast(c[a], c[b]):.2f}")


def check_served(checks, server, folder, names):
    for name in names:
        headers, body = server.get("" if name == "index.html" else name)
        checks.note(f"{name} is served as it lies there", body == open(os.path.join(folder, name), "rb").read())
        kind = os.path.splitext(name)[1]
        checks.same(f"{name}: type", headers["Content-Type"], TYPES[kind])
        checks.same(f"{name}: nosniff", headers["X-Content-Type-Options"], "nosniff")
        if kind == ".svg":
            continue
        policy = dict(part.split(None, 1) for part in headers["Content-Security-Policy"].split(";"))
        for key, value in POLICY.items():
            checks.same(f"{name}: {key}", policy.get(key), value)
        checks.note(f"{name}: no other host", not re.search(r"unsafe|\*|http|//", headers["Content-Security-Policy"]))
        checks.same(f"{name}: in no frame", headers["X-Frame-Options"], "DENY")


def check_sources(checks, sources):
    check_markup(checks, sources)
    check_modules(checks, sources)
    check_sizes(checks, sources)
    check_colours(checks, sources["page.css"])


def check_controls(checks, sources):
    """What must be found."""
    for what, name, old, new in (
            ("a handler", "index.html", '<button type="button" id="play"', '<button type="button" id="play" onclick="x()"'),
            ("a style", "index.html", "<body>", '<body style="margin:0">'),
            ("a script", "index.html", "</body>", "<script>x()</script></body>"),
            ("an element left open", "index.html", "</figure>", ""),
            ("another host", "index.html", 'src="page.js"', 'src="https://example.org/page.js"'),
            ("a missing id", "index.html", 'id="strength"', 'id="strenght"'),
            ("markup out of text", "page.js", "place(error.message)", "x.innerHTML = error"),
            ("a missing export", "answer.js", "export function showBars", "function showBars"),
            ("a faint colour", "page.css", "--faint: #57606a", "--faint: #a0a0a0"),
            ("a fat file", "answer.js", "\n", "\n" * 500)):
        inner = Checks()
        inner.note = lambda what, good, figure="", inner=inner: setattr(inner, "failed", inner.failed + (not good))
        changed = {**sources, name: sources[name].replace(old, new)}
        check_sources(inner, changed)
        checks.note(f"control: {what} is found", changed != sources and inner.failed > 0)


def main():
    program, folder, model = sys.argv[1:]
    checks = Checks()
    sources = {name: open(os.path.join(folder, name), encoding="utf-8").read() for name in sorted(os.listdir(folder))}
    check_sources(checks, sources)
    check_controls(checks, sources)
    with Server(program, model) as server:
        check_served(checks, server, folder, sources)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
