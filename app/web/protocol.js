// The Open Inference Protocol, as far as the page needs it: which models there are, and a file in, arrays out.

const FILE_VIEW = "_video"; // a model is served under three names; this one takes files
const PATIENCE = 5;         // times that a full queue is asked again

let token = "";
export function setToken(text) {
  token = text;
}
export function hasToken() {
  return token !== "";
}

/** What the server says against a request, in its own sentence. status 0: it said nothing. */
export class Refusal extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

async function sentenceOf(answer) {
  try {
    return (await answer.json()).error || answer.statusText;
  } catch {
    return `The server answers ${answer.status}.`;
  }
}

const pause = (seconds) => new Promise((go) => setTimeout(go, seconds * 1000));

async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  for (let tries = 1; ; tries++) {
    let answer;
    try {
      answer = await fetch(path, { ...options, headers, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(options.body
        ? "The server closed the connection. It may be down, or the file larger than it takes, or too long on its way."
        : "The server does not answer.", 0);
    }
    if (answer.ok) return answer;
    const again = Number(answer.headers.get("Retry-After"));
    if (answer.status !== 503 || !again || tries === PATIENCE) {
      throw new Refusal(await sentenceOf(answer), answer.status);
    }
    await pause(again);
  }
}

const pathOf = (model) =>
  `v2/models/${encodeURIComponent(model.name + FILE_VIEW)}/versions/${encodeURIComponent(model.version)}`;

/** [{name, version}], each once. */
export async function models() {
  const index = await (await ask("v2/repository/index")).json();
  const known = new Set(index.map((m) => `${m.name}/${m.version}`));
  return index
    .filter((m) => known.has(`${m.name}_u8/${m.version}`) && known.has(m.name + FILE_VIEW + "/" + m.version))
    .map(({ name, version }) => ({ name, version }));
}

export async function describe(model) {
  return (await ask(pathOf(model))).json();
}

export async function samples() {
  return (await ask("samples")).json();
}

export async function fetchSample(sample) {
  const bytes = await (await ask(sample.path)).blob();
  return new File([bytes], `${sample.name.replace(/[^\w-]+/g, "-")}.gif`, { type: sample.type });
}

function elementsOf(bytes) { // of BYTES: a length in four bytes, then the element
  const view = new DataView(bytes);
  const list = [];
  for (let at = 0; at < bytes.byteLength;) {
    const size = view.getUint32(at, true);
    list.push(bytes.slice(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return list;
}

const readers = {
  FP32: (bytes) => new Float32Array(bytes),
  FP64: (bytes) => new Float64Array(bytes),
  UINT8: (bytes) => new Uint8Array(bytes),
  BYTES: elementsOf,
};

/** Sends a file to a model. Returns {NAME: {shape, data}} for the names in `outputs`, and what of the file could not be decoded as `damage`. */
export async function infer(model, file, outputs, parameters, signal) {
  const head = new TextEncoder().encode(JSON.stringify({
    inputs: [{ name: "file", shape: [1], datatype: "BYTES", parameters: { binary_data_size: file.size + 4 } }],
    outputs: outputs.map((name) => ({ name, parameters: { binary_data: true } })),
    parameters: { filename: file.name.slice(-100), ...parameters },
  }));
  const size = new DataView(new ArrayBuffer(4));
  size.setUint32(0, file.size, true);
  const answer = await ask(`${pathOf(model)}/infer`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": String(head.length) },
    body: new Blob([head, size, file]),
    signal,
  });
  const bytes = await answer.arrayBuffer();
  let at = Number(answer.headers.get("Inference-Header-Content-Length"));
  const said = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 0, at)));
  const found = { damage: said.parameters?.damage ?? "" };
  for (const o of said.outputs) {
    const length = o.parameters.binary_data_size;
    found[o.name] = { shape: o.shape, data: readers[o.datatype](bytes.slice(at, at + length)) };
    at += length;
  }
  return found;
}

export const textOf = (bytes) => new TextDecoder().decode(bytes);
