// The clip as the model sees it, on a canvas, with a map over it: as tubelet explain draws it.

import { percent } from "./answer.js";

// 17 of the colours of matplotlib's viridis (CC0), whose brightness grows evenly.
const viridis = ("440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 " +
  "d8e219 fde725").split(" ").map((c) => [0, 2, 4].map((at) => parseInt(c.slice(at, at + 2), 16)));
const PACE = 110; // milliseconds of a frame

function colourOf(value, rgb) {
  const at = Math.min(Math.max(value, 0), 1) * (viridis.length - 1);
  const low = Math.min(Math.floor(at), viridis.length - 2);
  for (let c = 0; c < 3; c++) rgb[c] = viridis[low][c] + (at - low) * (viridis[low + 1][c] - viridis[low][c]);
}

/** A frame [H,W,C] of levels, and where there is a map [H,W], its colours over the frame's brightness: none at `low`, all at `high`. */
export function paint(image, levels, channels, map, low, high, strength) {
  const rgb = [0, 0, 0];
  const out = image.data;
  for (let i = 0; i < image.width * image.height; i++) {
    const at = i * channels;
    const red = levels[at];
    const green = channels >= 3 ? levels[at + 1] : red;
    const blue = channels >= 3 ? levels[at + 2] : red;
    const value = map && high > low ? Math.max((map[i] - low) / (high - low), 0) : 0;
    const share = value * strength;
    const gray = 0.299 * red + 0.587 * green + 0.114 * blue;
    const bare = strength === 0 || !map; // with nothing over them, colours are as they are
    colourOf(value, rgb);
    out[4 * i] = (bare ? red : gray) * (1 - share) + rgb[0] * share;
    out[4 * i + 1] = (bare ? green : gray) * (1 - share) + rgb[1] * share;
    out[4 * i + 2] = (bare ? blue : gray) * (1 - share) + rgb[2] * share;
    out[4 * i + 3] = 255;
  }
}

export class Player {
  /** Elements: canvas, play, frame (a slider), frameText, profile, most. */
  constructor(elements) {
    Object.assign(this, elements);
    this.strength = 0.75;
    this.stretched = false; // colours from the map's least value on, not from zero
    this.timer = 0;
    this.frame.addEventListener("input", () => {
      this.pause();
      this.draw();
    });
    this.play.addEventListener("click", () => (this.timer ? this.pause() : this.start()));
  }

  /** frames {shape: [1,T,H,W,C], data}, map {data: [1,T,H,W]} or nothing. */
  show(frames, map) {
    const [, count, height, width, channels] = frames.shape;
    Object.assign(this, { levels: frames.data, map: map?.data, count, height, width, channels });
    this.least = map ? map.data.reduce((least, v) => Math.min(least, v), Infinity) : 0;
    this.largest = map ? map.data.reduce((most, v) => Math.max(most, v), 0) : 0;
    this.canvas.width = width;
    this.canvas.height = height;
    this.canvas.classList.toggle("small", Math.max(width, height) < 128);
    this.image = this.canvas.getContext("2d").createImageData(width, height);
    this.frame.max = count - 1;
    this.frame.value = Math.min(this.frame.value, count - 1);
    this.showProfile();
    this.draw();
  }

  /** How much of the map lies in each frame. */
  showProfile() {
    const area = this.width * this.height;
    const sums = Array.from({ length: this.map ? this.count : 0 }, (_, t) =>
      this.map.subarray(t * area, (t + 1) * area).reduce((sum, v) => sum + Math.max(v, 0), 0));
    const most = Math.max(...sums, 0);
    const total = sums.reduce((a, b) => a + b, 0);
    this.profile.replaceChildren(...sums.map((sum) => {
      const bar = document.createElement("span");
      bar.style.height = `${most > 0 ? (100 * sum) / most : 0}%`;
      return bar;
    }));
    const at = sums.indexOf(most);
    this.most.textContent = total > 0
      ? `Frame ${at + 1} has most of the map: ${percent(most / total)} of it.` : "";
  }

  draw() {
    if (!this.image) return;
    const t = Number(this.frame.value);
    const area = this.width * this.height;
    paint(this.image, this.levels.subarray(t * area * this.channels, (t + 1) * area * this.channels), this.channels,
      this.map?.subarray(t * area, (t + 1) * area), this.stretched ? this.least : 0, this.largest, this.strength);
    this.canvas.getContext("2d").putImageData(this.image, 0, 0);
    this.frameText.textContent = `${t + 1} / ${this.count}`;
    this.frame.setAttribute("aria-valuetext", `${t + 1} of ${this.count}`);
    for (const [i, bar] of [...this.profile.children].entries()) bar.classList.toggle("now", i === t);
  }

  start() {
    this.pause();
    this.timer = setInterval(() => {
      this.frame.value = (Number(this.frame.value) + 1) % this.count;
      this.draw();
    }, PACE);
    this.say("Pause", "❚❚");
  }

  pause() {
    clearInterval(this.timer);
    this.timer = 0;
    this.say("Play", "▶");
  }

  say(label, sign) {
    this.play.setAttribute("aria-label", label);
    this.play.textContent = sign;
  }
}
