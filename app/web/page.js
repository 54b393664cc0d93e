// The page: a clip from a file, a sample or the camera goes to a model, and what comes back is shown.
import { element, inParts, inWords, nameOf, showBars } from "./answer.js";
import { Player } from "./attention.js";
import { setUpCamera } from "./camera.js";
import * as protocol from "./protocol.js";
import { isLong, Timeline, windowFor } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = matchMedia("(max-width: 899px)"); // where answers stand below what was asked

const state = {
  models: [],
  model: null, // {name, version}
  about: null, // its metadata
  file: null,
  seconds: NaN, // of the file, where the browser knows it
  measured: null, // a promise: until then it does not know
  asked: null, // what would cancel the request at hand
  askedTimes: null, // and that of the timeline
  address: "", // of the file, for the browser's own player
};

const player = new Player({
  canvas: $("canvas"), play: $("play"), frame: $("frame"), frameText: $("frame-text"), profile: $("profile"), most: $("most"),
});
const timeline = new Timeline(
  { strip: $("strip"), rows: $("rows"), windows: $("windows"), status: $("timeline-status"), video: $("video") },
  (w) => showAnswer(w));

// ---- What is said ----

function say(text) {
  $("status").textContent = text;
}

function complain(text) {
  $("problem").textContent = text;
  $("problem").hidden = text === "";
}

/** The form asks; only a token that was given can be wrong. */
function askForToken(place) {
  $("token-form").hidden = false;
  place(protocol.hasToken() ? "The server does not take this token." : "");
}

/** Runs something that asks the server; a refusal is shown in its own words. */
async function trying(work, place = complain) {
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (!(error instanceof protocol.Refusal)) throw error;
    say("");
    if (error.status === 401) askForToken(place);
    else place(error.message);
    return undefined;
  }
}

// ---- Models ----

function showModel() {
  const { about } = state;
  const [, frames, height, width, channels] = about.optional_outputs.find((o) => o.name === "frames").shape;
  const classes = about.outputs[0].shape[1];
  const explains = about.optional_outputs.some((o) => o.name === "explanation");
  $("facts").textContent = `${frames} frames of ${width} × ${height}, ${channels === 1 ? "gray" : "colour"}; ${classes} classes`;
  $("attention").hidden = !explains;
  $("look-title").textContent = explains ? "Attention" : "Clip";
  $("target").replaceChildren(new Option("the most probable", ""),
    ...Array.from({ length: classes }, (_, k) => new Option(nameOf(about, k), k)));
  showTarget();
}

async function chooseModel() {
  const model = state.models[$("model").selectedIndex];
  const about = await trying(() => protocol.describe(model));
  if (!about || model !== state.models[$("model").selectedIndex]) return;
  Object.assign(state, { model, about });
  showModel();
  if (state.file) await classify();
}

async function readModels() {
  const list = await trying(protocol.models);
  if (!list) return;
  $("token-form").hidden = true;
  complain("");
  state.models = list;
  const several = new Set(list.map((m) => m.name)).size < list.length;
  $("model").replaceChildren(...list.map((m) => new Option(several ? `${m.name}, version ${m.version}` : m.name)));
  $("model").disabled = list.length === 0;
  say(list.length === 0 ? "This server has no model at the moment." : "");
  if (list.length === 0) return;
  await chooseModel();
  await readSamples();
}

// ---- Samples ----

/** The animation on a button; where nothing should move, its first frame. */
async function thumbnail(file) {
  if (!still.matches) {
    const image = element("img");
    image.src = URL.createObjectURL(file);
    image.alt = "";
    return image;
  }
  const canvas = element("canvas");
  const frame = await createImageBitmap(file);
  canvas.width = frame.width;
  canvas.height = frame.height;
  canvas.getContext("2d").drawImage(frame, 0, 0);
  return canvas;
}

async function sampleButton(sample) {
  const file = await protocol.fetchSample(sample);
  const [set, kind] = sample.name.split(": ");
  const button = element("button", "", await thumbnail(file), element("span", "name", kind ?? set), element("span", "note", kind ? set : ""));
  button.type = "button";
  button.title = sample.name;
  button.setAttribute("aria-label", `Sample, ${sample.name}`);
  button.addEventListener("click", () => take(file));
  button.setAttribute("aria-pressed", "false");
  button.file = file;
  return element("li", "", button);
}

async function readSamples() {
  const list = await trying(protocol.samples);
  const buttons = list && await trying(() => Promise.all(list.map(sampleButton)));
  if (buttons) $("samples").replaceChildren(...buttons);
  $("samples-title").hidden = $("samples").children.length === 0;
}

// ---- A file ----

/** Shows the file in the browser's own player, where it can play it. */
function showOriginal(file) {
  URL.revokeObjectURL(state.address);
  state.address = URL.createObjectURL(file);
  state.seconds = NaN;
  const { type } = file;
  const animated = type.startsWith("image/");
  const played = type.startsWith("video/");
  $("original").hidden = !played && (!animated || still.matches);
  $("video").hidden = !played;
  $("picture").hidden = !animated;
  $("video").removeAttribute("src");
  $("picture").removeAttribute("src");
  state.measured = played && new Promise((go) => {
    for (const event of ["loadedmetadata", "error"]) $("video").addEventListener(event, go, { once: true });
  });
  if (played) $("video").src = state.address;
  if (animated) $("picture").src = state.address;
  if (played && !still.matches) $("video").play().catch(() => {}); // it has controls
}

async function take(file) {
  state.file = file;
  for (const button of document.querySelectorAll("#samples button")) button.setAttribute("aria-pressed", button.file === file);
  showOriginal(file);
  player.frame.value = 0;
  if (await classify()) {
    if (!still.matches) player.start();
    if (narrow.matches) $("status").scrollIntoView({ behavior: still.matches ? "auto" : "smooth" });
  }
}

function parametersOfMap() {
  const method = $("method").value;
  const target = $("target").value;
  return method === "gradient-rollout" && target !== "" ? { method, class: target } : { method };
}

const explains = () => !$("attention").hidden;

/** An answer, of the whole file or of a window of it. */
function showAnswer({ label, probs, span }) {
  $("answer-of").textContent = span ?? "";
  $("label").replaceChildren(...inParts(state.about, label, probs));
  showBars($("bars"), state.about, probs);
}

/** Sends the file to the model: for all there is to say of it, or for another map. Returns whether an answer came. */
async function classify(mapOnly = false) {
  if (!state.about) return false;
  state.asked?.abort();
  state.asked = new AbortController();
  const { signal } = state.asked;
  const { file, model } = state;
  const outputs = explains() ? ["label", "probs", "frames", "explanation"] : ["label", "probs", "frames"];
  const began = performance.now();
  if (!mapOnly) {
    state.askedTimes?.abort();
    timeline.clear();
  }
  complain("");
  say(`Asking ${model.name} about ${file.name} …`);
  document.body.classList.add("busy");
  const found = await trying(() => protocol.infer(model, file, outputs, explains() ? parametersOfMap() : {}, signal));
  if (signal.aborted) return false;
  document.body.classList.remove("busy");
  $("empty").hidden = true;
  $("found").hidden = !found && !mapOnly;
  if (!found) return false;
  if (found.damage) complain(`${file.name}: ${found.damage}`);
  const answer = { label: protocol.textOf(found.label.data[0]), probs: found.probs.data };
  showAnswer(answer);
  player.show(found.frames, found.explanation);
  $("timeline").hidden = !mayHaveTimes(file);
  say(`${file.name}: ${inWords(state.about, answer.label, answer.probs)}. Answered in ${Math.round(performance.now() - began)} ms.`);
  if (!mapOnly) offerTimeline(file);
  return true;
}

// ---- The map ----

function showTarget() {
  const wanted = $("method").value === "gradient-rollout";
  $("target").hidden = !wanted;
  $("target-label").hidden = !wanted;
}

async function saveOverlay() {
  const found = await trying(() => protocol.infer(state.model, state.file, ["overlay"], parametersOfMap()));
  if (!found) return;
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([found.overlay.data[0]], { type: "image/gif" }));
  link.download = `${state.file.name.replace(/\.[^.]*$/, "")}-attention.gif`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ---- The timeline ----

/** Arrays, volumes and single pictures have no times. */
const mayHaveTimes = (file) => !/\.(npy|npz|nii|nii\.gz|png|jpe?g)$/i.test(file.name);

function suggestWindow() {
  const { duration } = $("video");
  state.seconds = duration;
  $("window").value = $("hop").value = Number.isFinite(duration) ? windowFor(duration) : 1;
}

/** Makes the timeline of a long file unasked. */
async function offerTimeline(file) {
  await state.measured;
  if (file === state.file && isLong(state.seconds)) await makeTimeline();
}

async function makeTimeline() {
  const window = `${$("window").value}s`;
  const hop = `${$("hop").value}s`;
  const { file, model, about } = state;
  state.askedTimes?.abort();
  state.askedTimes = new AbortController();
  const { signal } = state.askedTimes;
  timeline.clear();
  timeline.status.textContent = "Classifying each window …";
  const found = await trying(() => protocol.infer(model, file, ["label", "probs", "windows"], { window, hop }, signal),
    (sentence) => { timeline.status.textContent = sentence; });
  if (found && !signal.aborted && file === state.file && model === state.model) timeline.show(about, found);
}

// ---- What the visitor does ----

$("model").addEventListener("change", chooseModel);
$("token-form").addEventListener("submit", (e) => {
  e.preventDefault();
  protocol.setToken($("token").value);
  readModels();
});
$("file").addEventListener("change", () => {
  if ($("file").files.length > 0) take($("file").files[0]);
  $("file").value = ""; // so that the same file can be chosen again
});
$("video").addEventListener("loadedmetadata", suggestWindow);
$("video").addEventListener("error", () => {
  if ($("video").hasAttribute("src")) $("original").hidden = true; // the model's frames stand for it
});
$("picture").addEventListener("error", () => {
  if ($("picture").hasAttribute("src")) $("original").hidden = true;
});
$("strength").addEventListener("input", () => {
  player.strength = $("strength").value / 100;
  $("strength-text").textContent = `${$("strength").value} %`;
  player.draw();
});
$("stretch").addEventListener("change", () => {
  player.stretched = $("stretch").checked;
  player.draw();
});
for (const id of ["method", "target"]) {
  $(id).addEventListener("change", () => {
    showTarget();
    classify(true);
  });
}
$("save").addEventListener("click", saveOverlay);
$("timeline-form").addEventListener("submit", (e) => {
  e.preventDefault();
  makeTimeline();
});
document.addEventListener("dragover", (e) => {
  e.preventDefault();
  document.body.classList.add("dragged");
});
document.addEventListener("dragleave", (e) => {
  if (!e.relatedTarget) document.body.classList.remove("dragged");
});
document.addEventListener("drop", (e) => {
  e.preventDefault();
  document.body.classList.remove("dragged");
  if (e.dataTransfer.files.length > 0) take(e.dataTransfer.files[0]);
});
setUpCamera({
  record: $("record"), panel: $("camera"), viewfinder: $("viewfinder"), stop: $("stop"), cancel: $("cancel"), clock: $("clock"),
}, take, complain);
readModels();
