"use strict";
// One agent's next improvement, as it was predicted and as it came.
{
  const { came, predicted } = explore.data.foretold;
  const all = (key) => [...new Set(predicted.map((row) => row[key]))];
  const moves = ["down", "up", "left", "right", "stay"];
  const cells = d3.range(9);
  const log10 = (nats) => Math.log10(Math.max(nats, 1e-9));
  const errors = d3.sort(predicted.flatMap((row) => row.error.map(log10)));
  const color = { domain: [Math.floor(d3.quantileSorted(errors, 0.02)), Math.ceil(d3.quantileSorted(errors, 0.98))] };
  const policyAt = (game, h) => came.find((row) => row.game === game && row.iteration === h).policy;

  const names = explore.games;
  const knobs = {
    game: explore.choice("Game", Object.keys(names), Object.values(names)),
    estimator: explore.choice("Observer", all("estimator")),
    iteration: explore.slider("Policy predicted", all("iteration"), all("iteration")[0], explore.policyName),
    first: explore.slider("Cell of agent 0", cells, 0, explore.cellName),
    second: explore.slider("Cell of agent 1", cells, 0, explore.cellName),
  };
  knobs.estimator.value = all("estimator").at(-1);

  const chosen = ({ game, estimator, iteration, first, second }) => ({
    before: policyAt(game, iteration - 1),
    after: policyAt(game, iteration),
    next: predicted.find((row) => row.game === game && row.estimator === estimator && row.iteration === iteration),
    state: 9 * first + second,
  });

  const draw = explore.show("foretold", {
    knobs,
    say(values) {
      const { next, after, state } = chosen(values);
      const own = d3.range(5).map((a) => 5 * state + a);
      const top = d3.greatest(own, (k) => after[k]);
      const share = (policy) => d3.format(".1%")(policy[top] / 10000);
      return `In the ${names[values.game]} game, with agent 0 in cell ${values.first} and agent 1 in cell ${values.second}, agent 0’s likeliest move under ${explore.policyName(values.iteration)} is “${moves[top % 5]}”: ${share(after)}, predicted by “${values.estimator}” ${share(next.policy)}. Over all joint states the divergence is ${explore.number(d3.mean(next.error), 2)} nats on average.`;
    },
    panels(values, width) {
      const { before, after, next, state } = chosen(values);
      const half = width < 520 ? width : Math.floor((width - 16) / 2);
      const own = d3.range(5).map((a) => 5 * state + a);
      const looks = {
        before: { stroke: "var(--explore-muted)", symbol: "circle", fill: "var(--pst-color-background)" },
        predicted: { stroke: "var(--explore-2)", symbol: "diamond", fill: "var(--explore-2)" },
        came: { stroke: "var(--explore-1)", symbol: "times", strokeWidth: 2.5 },
      };
      const at = (policy, look) => Plot.dot(own, { x: (k) => moves[k % 5], y: (k) => policy[k] / 10000, r: 6, ...look });
      const here = explore.panel("Agent 1 in this joint state", {
        width, height: Math.min(260, 0.75 * width), marginLeft: 46, marginBottom: 30, grid: true,
        x: { domain: moves, label: null, type: "point", padding: 0.6 },
        y: { domain: [0, d3.max([before, after, next.policy], (p) => d3.max(own, (k) => p[k] / 10000)) * 1.08], label: "probability", ticks: 5, tickFormat: "%" },
        marks: [
          Plot.ruleY([0]),
          Plot.link(own, { x: (k) => moves[k % 5], y1: (k) => before[k] / 10000, y2: (k) => after[k] / 10000, stroke: "var(--explore-1)", strokeWidth: 1.5 }),
          at(before, looks.before), at(next.policy, looks.predicted), at(after, looks.came),
        ],
      }, [
        [`before, ${explore.policyName(values.iteration - 1)}`, explore.dotKey(looks.before)],
        [`${explore.policyName(values.iteration)}, predicted`, explore.dotKey(looks.predicted)],
        [`${explore.policyName(values.iteration)}, as it came`, explore.dotKey(looks.came)],
      ]);
      const entries = d3.range(after.length);
      const change = (policy) => (k) => (policy[k] - before[k]) / 10000;
      const reach = 1.05 * d3.max(entries, (k) => Math.max(Math.abs(change(after)(k)), Math.abs(change(next.policy)(k))));
      const points = { x: change(after), y: change(next.policy) };
      const scatter = explore.panel("All joint states: change of probabilities", {
        width: half, height: half, marginLeft: 48, marginBottom: 38, grid: true,
        x: { label: "change that came", domain: [-reach, reach], ticks: 5, labelAnchor: "center", labelArrow: "none" },
        y: { label: "change predicted", domain: [-reach, reach], ticks: 5 },
        marks: [
          Plot.ruleX([0], { stroke: "var(--explore-muted)" }),
          Plot.ruleY([0], { stroke: "var(--explore-muted)" }),
          Plot.line([[-reach, -reach], [reach, reach]], { stroke: "var(--explore-muted)", strokeDasharray: "5,4" }),
          Plot.dot(entries, { ...points, r: 3, fill: "var(--explore-1)", fillOpacity: 0.45 }),
          Plot.dot(own, { ...points, r: 6, symbol: "diamond", fill: "var(--explore-2)", stroke: "currentColor" }),
        ],
      }, [
        ["any joint state", explore.dotKey({ fill: "var(--explore-1)", r: 3.5 })],
        ["this one", explore.dotKey({ ...looks.predicted, stroke: "currentColor" })],
      ]);
      const map = explore.map("Where it was wrong; click to choose", next.error.map(log10), half, {
        color,
        chosen: state,
        tip: (s) => `agent 0 in cell ${Math.floor(s / 9)}, agent 1 in ${s % 9}\n${explore.number(next.error[s], 2)} nats`,
        pick(s) {
          knobs.first.value = Math.floor(s / 9);
          knobs.second.value = s % 9;
          draw();
        },
      });
      map.append(explore.ramp("log10 of the divergence in nats", color, Math.min(half, 300)));
      return [here, scatter, map];
    },
  });
}
