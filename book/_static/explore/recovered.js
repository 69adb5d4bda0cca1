"use strict";
// Recovered against true rewards, by estimator, episodes and improvements seen.
{
  const { true: truths, found } = explore.data.recovered;
  const all = (key) => [...new Set(found.map((row) => row[key]))];
  const estimators = all("estimator");
  const colours = ["var(--explore-4)", "var(--explore-2)", "var(--explore-3)", "var(--explore-1)"];
  const symbols = ["triangle", "square", "diamond", "circle"];
  const look = (estimator) => {
    const k = estimators.indexOf(estimator);
    return { stroke: colours[k % 4], symbol: symbols[k % 4] };
  };
  const same = (row, values, ...keys) => keys.every((key) => row[key] === values[key]);
  const lowest = Math.min(0, d3.min(found, (row) => row.PCC));
  const color = { domain: [0, 1000] };

  const names = explore.games;
  const knobs = {
    game: explore.choice("Game", Object.keys(names), Object.values(names)),
    agent: explore.choice("Whose reward", all("agent"), all("agent").map((i) => `agent ${i}'s`)),
    estimator: explore.choice("Estimator", estimators),
    episodes: explore.slider("Episodes an iteration", all("episodes"), undefined, d3.format(",")),
    improvements: explore.slider("Improvements seen", all("improvements")),
  };
  knobs.estimator.value = estimators.at(-1);

  const chosen = (values) => ({
    truth: truths.find((row) => same(row, values, "game", "agent")).reward,
    row: found.find((row) => same(row, values, ...Object.keys(knobs))),
    runs: found.filter((row) => same(row, values, "game", "agent", "episodes")),
  });

  explore.show("recovered", {
    knobs,
    say(values) {
      const { row } = chosen(values);
      const known = row.reward.filter((x) => x !== null).length;
      const steps = values.improvements === 1 ? "one improvement" : `${values.improvements} improvements`;
      const states = known === row.reward.length ? "" : `, in the ${known} joint states where it is known`;
      return `After ${steps}, with ${d3.format(",")(values.episodes)} episodes an iteration, agent ${values.agent}’s reward in the ${names[values.game]} game as recovered by “${values.estimator}” has a correlation of ${explore.number(row.PCC, 4)} with the true one${states}.`;
    },
    panels(values, width) {
      const { truth, row, runs } = chosen(values);
      const half = Math.floor((width - 16) / 2);
      const chart = width < 520 ? width : half;
      const tip = (s) => `agent 0 in cell ${Math.floor(s / 9)}, agent 1 in ${s % 9}\ntrue ${truth[s] / 1000}, recovered ${row.reward[s] === null ? "unknown" : row.reward[s] / 1000}`;
      const states = d3.range(truth.length).filter((s) => row.reward[s] !== null);
      const scatter = explore.panel("State by state", {
        width: chart, height: 0.85 * chart, marginLeft: 42, marginBottom: 38, nice: true, grid: true,
        x: { label: "true reward", domain: [0, 1], ticks: 5, labelAnchor: "center", labelArrow: "none" },
        y: { label: "recovered reward", domain: [0, 1], ticks: 5 },
        marks: [
          Plot.line([[0, 0], [1, 1]], { stroke: "var(--explore-muted)", strokeDasharray: "5,4" }),
          Plot.dot(states, { x: (s) => truth[s] / 1000, y: (s) => row.reward[s] / 1000, r: 4.5, fill: look(values.estimator).stroke, fillOpacity: 0.55, stroke: "none" }),
          Plot.tip(states, Plot.pointer({ x: (s) => truth[s] / 1000, y: (s) => row.reward[s] / 1000, title: tip })),
        ],
      });
      const curves = explore.panel("Correlation as improvements come in", {
        width: chart, height: 0.85 * chart - (chart === width ? 0 : 20), marginLeft: 42, marginBottom: 38, grid: true,
        x: { label: "improvements seen", ticks: knobs.improvements.options, tickFormat: "d", labelAnchor: "center", labelArrow: "none" },
        y: { label: "correlation (PCC)", domain: [lowest, 1], ticks: 6 },
        marks: [
          Plot.ruleY([0], { stroke: "var(--explore-muted)" }),
          Plot.ruleX([values.improvements], { stroke: "currentColor", strokeDasharray: "3,3" }),
          ...estimators.map((estimator) => {
            const picked = estimator === values.estimator;
            const line = runs.filter((run) => run.estimator === estimator);
            const marks = { x: "improvements", y: "PCC", ...look(estimator), strokeOpacity: picked ? 1 : 0.65 };
            return [
              Plot.line(line, { ...marks, strokeWidth: picked ? 3 : 1.2 }),
              Plot.dot(line, { ...marks, r: picked ? 4 : 2.5, fill: "var(--pst-color-background)" }),
            ];
          }).flat(),
          Plot.dot([row], { x: "improvements", y: "PCC", symbol: look(row.estimator).symbol, fill: look(row.estimator).stroke, r: 6 }),
        ],
      }, estimators.map((name) => [name, [explore.lineKey({ stroke: look(name).stroke }), explore.dotKey({ ...look(name), fill: "var(--pst-color-background)", r: 3.5 })]]));
      return [
        explore.map("True reward", truth, half, { color, tip }),
        explore.map("Recovered reward", row.reward, half, { color, tip }),
        explore.ramp("reward, lowest to highest", { domain: [0, 1] }, Math.min(width, 320)),
        scatter,
        curves,
      ];
    },
  });
}
