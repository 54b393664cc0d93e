// A model's numbers in words and bars.

const SHOWN = 5; // classes of a head that are shown at once

export function element(name, className, ...children) {
  const e = document.createElement(name);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

export const percent = (p) => `${(100 * p).toFixed(1)}\u00a0%`;

/** The name of class k: its label, or its number. */
export const nameOf = (about, k) => about.labels?.[k] ?? String(k);

/** Where each head's classes begin, and how many they are: a model without heads has one. */
export function headsOf(about, classes) {
  let begin = 0;
  return (about.heads ?? [classes]).map((count) => {
    const head = { begin, count };
    begin += count;
    return head;
  });
}

/** Classes of a head, the most probable first; of equal ones the first. */
export function ranked(probs, { begin, count }) {
  return Array.from({ length: count }, (_, i) => begin + i).sort((a, b) => probs[b] - probs[a] || a - b);
}

function bar(about, k, p) {
  const fill = element("span", "fill");
  const value = element("data", "", percent(p));
  fill.style.width = `${100 * p}%`;
  value.value = p;
  return element("li", "", element("span", "name", nameOf(about, k)), value, element("span", "bar", fill));
}

/** A list of the most probable classes, and the others under a heading that opens. */
function barsOf(about, probs, head) {
  const order = ranked(probs, head);
  const items = order.map((k) => bar(about, k, probs[k]));
  const list = element("ol", "", ...items.slice(0, SHOWN));
  if (order.length <= SHOWN) return [list];
  const rest = element("ol", "", ...items.slice(SHOWN));
  rest.start = SHOWN + 1;
  const more = order.length - SHOWN;
  return [list, element("details", "", element("summary", "", more === 1 ? "1 more class" : `${more} more classes`), rest)];
}

export function showBars(place, about, probs) {
  const heads = headsOf(about, probs.length);
  place.replaceChildren(...heads.flatMap((head, h) =>
    (heads.length > 1 ? [element("h3", "", `Part ${h + 1}`)] : []).concat(barsOf(about, probs, head))));
}

const surety = (about, probs) =>
  headsOf(about, probs.length).map((head) => percent(probs[ranked(probs, head)[0]])).join(", ");

/** The label as the server words it, and how sure the model is. */
export function inParts(about, label, probs) {
  if (about.task === "multi_label") return [label || "no label above 50 %"];
  return [label, element("span", "sure", surety(about, probs))];
}

export function inWords(about, label, probs) {
  return inParts(about, label, probs).map((part) => part.textContent ?? part).join(", ");
}
