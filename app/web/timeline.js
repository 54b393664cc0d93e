// A long file, window by window: a strip in the classes' colours, and a table whose times lead into the video.
import { element, headsOf, inWords, percent, ranked } from "./answer.js";
import { textOf } from "./protocol.js";

const COLOURS = 8;
const AIM = 24;    // windows that a file is cut into where nobody says how long they are
const LONG = 12;   // seconds from which a timeline is made without being asked for

/** A length that reads well, for a file of so many seconds. */
export function windowFor(seconds) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
  return steps.find((s) => s * AIM >= seconds) ?? 600;
}

export const isLong = (seconds) => Number.isFinite(seconds) && seconds >= LONG;

function clock(seconds) {
  const whole = Math.floor(seconds / 60);
  const rest = (seconds - 60 * whole).toFixed(1).padStart(4, "0");
  return `${whole}:${rest}`;
}

export class Timeline {
  /** Elements: strip, rows, windows (the table's body), status, video. pick(probs): shows a window's bars. */
  constructor(elements, pick) {
    Object.assign(this, elements);
    this.pick = pick;
    this.list = [];
    this.video.addEventListener("timeupdate", () => this.mark(this.video.currentTime));
  }

  clear() {
    this.list = [];
    this.strip.replaceChildren();
    this.windows.replaceChildren();
    this.rows.hidden = true;
    this.status.textContent = "";
  }

  /** Outputs of an inference with a window. */
  show(about, found) {
    const { data: times } = found.windows;
    const classes = found.probs.shape[1];
    this.list = found.label.data.map((label, i) => {
      const probs = found.probs.data.subarray(i * classes, (i + 1) * classes);
      const [begin, end] = [times[2 * i], times[2 * i + 1]];
      return { begin, end, span: `${clock(begin)} – ${clock(end)}`, label: textOf(label), probs,
        best: headsOf(about, classes).map((head) => ranked(probs, head)[0]) };
    });
    this.windows.replaceChildren(...this.list.map((w) => this.row(about, w)));
    this.strip.replaceChildren(...this.list.map((w, i) => this.piece(w, this.list[i + 1])));
    this.rows.hidden = false;
    this.status.textContent = this.summary();
  }

  summary() {
    const n = this.list.length;
    const changes = this.list.filter((w, i) => i > 0 && w.label !== this.list[i - 1].label).length;
    return `${n} ${n === 1 ? "window" : "windows"}; the class changes ${changes === 1 ? "once" : `${changes} times`}.`;
  }

  piece(w, next) {
    const part = element("span", `c${w.best[0] % COLOURS}`);
    part.style.flexGrow = Math.max((next ? next.begin : w.end) - w.begin, 1e-3);
    part.style.opacity = 0.35 + 0.65 * w.probs[w.best[0]];
    part.title = `${clock(w.begin)} ${w.label}`;
    part.addEventListener("click", () => this.go(w));
    return part;
  }

  row(about, w) {
    const button = element("button", "", w.span);
    button.type = "button";
    button.setAttribute("aria-label", `Show ${w.begin.toFixed(1)} to ${w.end.toFixed(1)} seconds: ${inWords(about, w.label, w.probs)}`);
    button.addEventListener("click", () => this.go(w));
    const dot = element("span", `dot c${w.best[0] % COLOURS}`);
    const value = element("data", "", w.best.map((k) => percent(w.probs[k])).join(", "));
    value.value = w.probs[w.best[0]];
    return element("tr", "", element("td", "", button), element("td", "", dot, w.label || "none"), element("td", "", value));
  }

  go(w) {
    this.pick(w);
    if (!this.video.hidden) this.video.currentTime = w.begin;
    this.mark(w.begin);
  }

  /** The window that a time lies in. */
  mark(seconds) {
    let now = this.list.findLastIndex((w) => w.begin <= seconds + 1e-6);
    if (now < 0) now = 0;
    for (const part of [this.strip, this.windows]) {
      for (const [i, child] of [...part.children].entries()) child.classList.toggle("now", i === now);
    }
  }
}
