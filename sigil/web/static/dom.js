// Small helpers that make elements. The page's policy allows no inline styles and no inline scripts.

import { relative } from "./times.js";

const SVG = "http://www.w3.org/2000/svg";

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export function button(className, text, onClick) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

export function mark() {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "mark");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Sigil");
  use.setAttribute("href", "#i-mark");
  svg.append(use);
  return svg;
}

export function time(at) {
  const made = element("time", "", relative(at));
  made.dateTime = new Date(at).toISOString();
  made.title = new Date(at).toLocaleString();
  return made;
}

export function dots() {
  const made = element("div", "dots");
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", "Sigil is thinking");
  made.append(element("i"), element("i"), element("i"));
  return made;
}
