"use strict";
// What the pages under Explore share. A picture is drawn from the build's data and the values of
// its knobs, again whenever a knob is turned or the page changes its width. Colours are CSS
// variables (explore.css), so that what is drawn follows the theme's switch by itself.

const explore = { data: {} }; // what the build found, by the name of the picture

explore.element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

// Knobs. Each has a label, the element to operate, and `value`, one of its options.

explore.choice = (label, options, names = options) => {
  const control = explore.element("select");
  options.forEach((_, k) => control.append(new Option(names[k], k)));
  return {
    label,
    control,
    get value() { return options[control.value]; },
    set value(option) { control.value = options.indexOf(option); },
  };
};

explore.slider = (label, options, start = options.at(-1), show = String) => {
  const control = explore.element("input", { type: "range", min: 0, max: options.length - 1 });
  const output = explore.element("output");
  const knob = {
    label,
    control,
    output,
    options,
    get value() { return options[control.value]; },
    set value(option) {
      control.value = options.indexOf(option);
      knob.tell();
    },
    tell() {
      output.value = show(knob.value);
      control.setAttribute("aria-valuetext", output.value);
    },
  };
  knob.value = start;
  return knob;
};

// `panels(values, width)` returns what is drawn, `say(values)` what it shows in a sentence.
// Returns the function that draws again.
explore.show = (name, { knobs, panels, say, buttons = [] }) => {
  const { element } = explore;
  const place = document.getElementById(`explore-${name}`);
  const controls = element("div", { class: "explore-knobs", role: "group", "aria-label": "Knobs" });
  const says = element("p", { class: "explore-says", role: "status" });
  const drawn = element("div", { class: "explore-panels" });
  let width = 0;

  const draw = () => {
    const values = Object.fromEntries(Object.entries(knobs).map(([key, k]) => [key, k.value]));
    const sentence = say(values);
    if (says.textContent !== sentence) says.textContent = sentence;
    drawn.replaceChildren(...panels(values, width));
  };
  for (const [key, knob] of Object.entries(knobs)) {
    knob.control.id = `explore-${name}-${key}`;
    knob.control.addEventListener("input", () => {
      knob.tell?.();
      draw();
    });
    const label = element("label", { for: knob.control.id }, knob.label);
    const row = element("div", {}, knob.control, ...(knob.output ? [knob.output] : []));
    knob.output?.setAttribute("for", knob.control.id);
    controls.append(element("div", { class: "explore-knob" }, label, row));
  }
  controls.append(...buttons);
  place.replaceChildren(controls, says, drawn);
  new ResizeObserver(() => {
    if (drawn.clientWidth === width) return;
    width = drawn.clientWidth;
    draw();
  }).observe(drawn);
  return draw;
};

// A picture has one name; what it is drawn of needs none.
explore.describe = (svg, name) => {
  for (const part of svg.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", name);
};

// A titled plot, with a key to its series if there are some.
explore.panel = (title, options, keys = []) => {
  const plot = Plot.plot({ style: { fontSize: "12px" }, ...options });
  explore.describe(plot, title);
  const list = explore.element("ul", { class: "explore-keys" });
  for (const [text, mark] of keys) {
    const sample = Plot.plot({
      width: 22, height: 14, margin: 0, axis: null, x: { domain: [0, 1] }, y: { domain: [0, 1] },
      marks: [mark],
    });
    sample.setAttribute("aria-hidden", "true");
    list.append(explore.element("li", {}, sample, text));
  }
  const caption = explore.element("figcaption", {}, title);
  const style = `width: ${options.width}px`; // so that a long key wraps
  return explore.element("figure", { style }, caption, ...(keys.length ? [list] : []), plot);
};

// Samples for keys.
explore.dotKey = (options) => Plot.dot([[0.5, 0.5]], { r: 5, ...options });
explore.lineKey = (options) => Plot.line([[0, 0.5], [1, 0.5]], { strokeWidth: 2, ...options });

// A number per joint state of two agents, agent 0's cell down and agent 1's across.
explore.map = (title, values, width, { color, pick, chosen, tip }) => {
  const states = d3.range(values.length);
  const cells = Math.sqrt(values.length);
  const side = Math.sqrt(cells);
  const down = (s) => Math.floor(s / cells);
  const across = (s) => s % cells;
  const ticks = width < 220 ? [0, (cells - 1) / 2, cells - 1] : d3.range(cells);
  const axis = { ticks, tickSize: 0, labelAnchor: "center", labelArrow: "none", tickFormat: "d" };
  const edges = d3.range(side, cells, side).map((edge) => edge - 0.5);
  const line = { stroke: "var(--pst-color-background)", strokeWidth: 1.5 };
  const square = { x1: (s) => across(s) - 0.5, x2: (s) => across(s) + 0.5, y1: (s) => down(s) - 0.5, y2: (s) => down(s) + 0.5 };
  const figure = explore.panel(title, {
    width,
    height: width,
    marginLeft: 34,
    marginBottom: 34,
    marginTop: 4,
    marginRight: 4,
    x: { ...axis, domain: [-0.5, cells - 0.5], label: "cell of agent 1" },
    y: { ...axis, domain: [cells - 0.5, -0.5], label: "cell of agent 0" },
    color: { scheme: "cividis", unknown: "transparent", clamp: true, ...color },
    marks: [
      Plot.rect(states, { ...square, fill: (s) => values[s] ?? NaN, shapeRendering: "crispEdges" }),
      Plot.ruleX(edges, line),
      Plot.ruleY(edges, line),
      chosen === undefined ? null : Plot.rect([chosen], { ...square, stroke: "var(--explore-chosen, #fff)", strokeWidth: 3, inset: 1 }),
      chosen === undefined ? null : Plot.rect([chosen], { ...square, stroke: "#000", strokeWidth: 1 }),
      Plot.tip(states, Plot.pointer({ x: across, y: down, title: tip })),
    ],
  });
  const plot = figure.querySelector("svg[role=img]");
  if (pick) {
    plot.classList.add("pickable");
    plot.addEventListener("click", () => plot.value !== null && pick(plot.value));
  }
  return figure;
};

explore.games = { hom: "homogeneous", het: "heterogeneous" };

explore.policyName = (h) => "π" + String(h).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

explore.cellName = (cell) => cell + (cell === 0 ? " (start)" : cell === 8 ? " (goal)" : "");

// The ramp of a map's colours.
explore.ramp = (label, color, width) => {
  const ramp = Plot.legend({ color: { scheme: "cividis", label, ...color }, width, ticks: 5, marginLeft: 6, marginRight: 14 });
  explore.describe(ramp, `Colours: ${label}`);
  return ramp;
};

explore.number = (value, digits = 3) => (value === null ? "unknown" : d3.format(`.${digits}~r`)(value));
