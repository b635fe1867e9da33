// Copying text. Browsers offer `navigator.clipboard` on https and localhost only; elsewhere, as in a
// home network, the text is selected and copied as if by hand.

import { button, element } from "./dom.js";

export function copyButton(className, label, getText) {
  const made = button(className, "Copy", async () => {
    const done = await copy(getText());
    made.textContent = done ? "Copied" : "Copy failed";
    setTimeout(() => { made.textContent = "Copy"; }, 1500);
  });
  if (label) made.setAttribute("aria-label", label);
  return made;
}

async function copy(text) {
  if (!navigator.clipboard) return copySelected(text);
  return navigator.clipboard.writeText(text).then(() => true, () => copySelected(text));
}

function copySelected(text) {
  const before = document.activeElement;
  const area = element("textarea", "only-read");
  area.value = text;
  area.readOnly = true; // so that no keyboard opens on a phone
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus({ preventScroll: true });
  return done;
}
