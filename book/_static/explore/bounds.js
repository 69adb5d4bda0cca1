"use strict";
// What predictions say of a reward and a reward of predictions, as the guess gets better.
{
  const guesses = explore.data.bounds;
  const deltas = guesses[0].rows.map((row) => row.delta);
  const format = (x) => explore.number(x, 2);
  const knobs = {
    guess: explore.choice("Guess", guesses.map((one) => one.guess)),
    delta: explore.slider("δ, how far predictions are off", deltas, deltas[Math.floor(deltas.length / 2)], format),
  };
  const chosen = ({ guess, delta }) => {
    const one = guesses.find((g) => g.guess === guess);
    return { one, row: one.rows.find((r) => r.delta === delta) };
  };
  const looks = {
    fact: { stroke: "var(--explore-1)", strokeWidth: 3 },
    paper: { stroke: "var(--explore-2)", strokeWidth: 2, strokeDasharray: "2,3" },
    corrected: { stroke: "var(--explore-3)", strokeWidth: 2, strokeDasharray: "7,3" },
  };
  const key = (text, look) => [text, explore.lineKey(look)];

  const decades = (rows, keys) => {
    const [low, high] = d3.extent(keys.flatMap((k) => rows.map((row) => row[k])).map(Math.log10));
    return d3.range(Math.ceil(low - 1e-9), high + 1e-9).map((power) => 10 ** power);
  };

  const thinned = (ticks) => (ticks.length > 6 ? ticks.filter((_, k) => k % 2 === 0) : ticks);

  // One row of lines on logarithmic axes, the chosen place marked.
  const sides = (title, one, row, x, xLabel, yLabel, lines, width) => explore.panel(title, {
    width, height: 0.9 * width, marginLeft: 52, marginBottom: 38, marginRight: 12, grid: true,
    x: { type: "log", label: xLabel, ticks: decades(one.rows, [x]), tickFormat: "~g", labelAnchor: "center", labelArrow: "none" },
    y: { type: "log", label: yLabel, ticks: thinned(decades(one.rows, lines.drawn.map(([side]) => side))), tickFormat: "~g" },
    marks: [
      ...(lines.band ? [Plot.areaY(one.rows, { x, y1: lines.band[0], y2: lines.band[1], fill: "var(--explore-3)", fillOpacity: 0.18 })] : []),
      ...lines.drawn.map(([side, look]) => Plot.line(one.rows, { x, y: side, ...look })),
      Plot.ruleX([row], { x, stroke: "currentColor", strokeDasharray: "3,3" }),
      ...lines.drawn.map(([side, look]) => Plot.dot([row], { x, y: side, fill: look.stroke, stroke: "var(--pst-color-background)", r: 5 })),
    ],
  }, lines.drawn.filter(([, , text]) => text).map(([, look, text]) => key(text, look)));

  explore.show("bounds", {
    knobs,
    say(values) {
      const { row } = chosen(values);
      const holds = row.divergence <= row["Theorem 6.5"] ? "holds" : "is violated";
      return `Guess ${values.guess}: predictions are off by up to δ = ${format(row.delta)} in the logarithm. The reward is wrong by ${format(row["least error"])}; T1 says ${format(row["T1, below"])} to ${format(row["T1, above"])}, Theorem 6.1 at most ${format(row["Theorem 6.1"])}. The predicted policy diverges by ${explore.number(row.divergence, 2)} nats; T2 allows ${format(row.T2)}, Theorem 6.5 allows ${format(row["Theorem 6.5"])} and ${holds}.`;
    },
    panels(values, width) {
      const { one, row } = chosen(values);
      const half = width < 520 ? width : Math.floor((width - 16) / 2);
      const actions = one.actions;
      const order = d3.sort(d3.range(one.reward.length / actions), (s) => d3.mean(d3.range(actions), (a) => one.reward[actions * s + a]));
      const entries = order.flatMap((s, place) => d3.range(actions).map((a) => {
        const k = actions * s + a;
        return { place: place + (a + 0.5) / actions, reward: one.reward[k], guess: one.reward[k] + row["least error"] * one.pattern[k] };
      }));
      const [lowest, highest] = d3.extent(one.reward);
      const room = Math.max(1.2 * (highest - lowest), 1);
      const half_step = 0.5 / actions;
      const band = (bound, look) => Plot.rect(entries, {
        x1: (e) => e.place - half_step, x2: (e) => e.place + half_step,
        y1: (e) => e.reward - bound, y2: (e) => e.reward + bound, clip: true, ...look,
      });
      const rewards = explore.panel("What the reward may be, entry by entry", {
        width, height: Math.min(320, 0.8 * width), marginLeft: 42, marginBottom: 34, grid: true,
        x: { domain: [0, order.length], ticks: [], label: "joint states and own actions, by true reward", labelAnchor: "center", labelArrow: "none" },
        y: { domain: [lowest - room, highest + room], label: "reward", ticks: 6 },
        marks: [
          band(row["Theorem 6.1"], { fill: "var(--explore-2)", fillOpacity: 0.22 }),
          band(row["T1, above"], { fill: "var(--explore-3)", fillOpacity: 0.4 }),
          Plot.tickY(entries, { x: null, y: "reward", strokeOpacity: 0 }),
          Plot.link(entries, { x1: (e) => e.place - half_step, x2: (e) => e.place + half_step, y: "reward", stroke: "currentColor", strokeWidth: 1.5 }),
          Plot.dot(entries, { x: "place", y: "guess", r: actions * order.length > 50 ? 1.8 : 5, fill: "var(--explore-1)", clip: true }),
        ],
      }, [
        key("true reward", { stroke: "currentColor" }),
        ["guess, best shaping", explore.dotKey({ fill: "var(--explore-1)", r: 3.5 })],
        ["allowed by T1", Plot.rect([0], { x1: 0, x2: 1, y1: 0, y2: 1, fill: "var(--explore-3)", fillOpacity: 0.4 })],
        ["by Theorem 6.1", Plot.rect([0], { x1: 0, x2: 1, y1: 0, y2: 1, fill: "var(--explore-2)", fillOpacity: 0.4 })],
      ]);
      return [
        rewards,
        sides("From predictions to the reward", one, row, "delta", "δ of the predictions", "error of the reward", {
          band: ["T1, below", "T1, above"],
          drawn: [["Theorem 6.1", looks.paper, "Theorem 6.1"], ["T1, above", looks.corrected, "T1, both sides"], ["T1, below", looks.corrected], ["least error", looks.fact, "what is so"]],
        }, half),
        sides("From the reward to predictions", one, row, "least error", "error of the reward", "divergence in nats", {
          drawn: [["Theorem 6.5", looks.paper, "Theorem 6.5"], ["T2", looks.corrected, "T2"], ["divergence", looks.fact, "what is so"]],
        }, half),
      ];
    },
  });
}
