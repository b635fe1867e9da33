// What stands below an answer: when, which model, how long, at what price, and what went differently.

import { copyButton } from "./copy.js";
import { button, element, time } from "./dom.js";

const number = new Intl.NumberFormat();
let count = 0;

/** `onAction` is called with the message that an action sends. */
export function fillFooter(footer, { at, text, details, actions = [] }, onAction) {
  footer.replaceChildren(time(at), copyButton("", "", () => text));
  const [model, spent] = details ? about(details) : [];
  if (details) footer.append(model, ...notes(details));
  footer.append(...actions.map(({ id, label }) => button("action", label, () => onAction(id))));
  if (details) footer.append(spent);
}

/** The footer of a draft: why the words that were there are gone. */
export function fillDraftFooter(footer, brokeOff) {
  footer.replaceChildren(...brokeOff.map((model) => note(`${model} broke off; the answer starts over`)));
}

/** The model and its time; tokens and money appear on hover, and stay after a click or a tap. */
function about(details) {
  const spent = element("span", "spent", describeSpent(details));
  spent.id = `spent-${++count}`;
  const made = button("about", `${details.model} · ${describeSeconds(details.seconds)}`, () => {
    const open = made.getAttribute("aria-expanded") !== "true";
    made.setAttribute("aria-expanded", String(open));
  });
  made.title = "The time is from when the turn began to the end of the answer";
  made.setAttribute("aria-expanded", "false");
  made.setAttribute("aria-controls", spent.id);
  return [made, spent];
}

function notes({ model, broke_off: brokeOff = [], cut_at: cutAt, stopped }) {
  const others = brokeOff.filter((each) => each !== model);
  const made = [];
  if (stopped) made.push(note("stopped"));
  if (others.length) made.push(note(`${others.join(", ")} broke off; ${model} ${stopped ? "went on" : "answered"}`));
  else if (brokeOff.length) made.push(note(`${model} broke off and started over`));
  if (cutAt) made.push(note(`cut at ${number.format(cutAt)} tokens`));
  return made;
}

const note = (text) => element("span", "note", text);

function describeSpent({ input_tokens: input, output_tokens: output, cost }) {
  return `${number.format(input)} tokens in, ${number.format(output)} out, ${describeCost(cost)}`;
}

function describeSeconds(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** `micro` is in millionths of a US dollar. */
function describeCost(micro) {
  if (micro === null) return "price unknown";
  if (micro > 0 && micro < 100) return "under $0.0001";
  return `$${(micro / 1e6).toFixed(micro < 1e6 ? 4 : 2)}`;
}
