"use strict";
// Two agents on the grid, step by step, under each of their policies.
{
  const { rewards, policies, episodes } = explore.data.walks;
  const { element } = explore;
  const all = (rows, key) => [...new Set(rows.map((row) => row[key]))];
  const steps = d3.range(episodes[0].states.length);
  const iterations = all(policies, "iteration");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const seconds = 0.6; // a step
  const moves = ["goes down", "goes up", "goes left", "goes right", "stays"];
  const directions = [[0, 1], [0, -1], [-1, 0], [1, 0], [0, 0]]; // across, down; as in MOVES
  const goal = 8;
  const agents = [
    { name: "agent 0", stroke: "var(--explore-1)", fill: "#0173b2", text: "white", symbol: "circle", shift: -0.2 },
    { name: "agent 1", stroke: "var(--explore-2)", fill: "#de8f05", text: "black", symbol: "square", shift: 0.2 },
  ];

  const names = explore.games;
  const knobs = {
    game: explore.choice("Game", Object.keys(names), Object.values(names)),
    iteration: explore.slider("Policy", iterations, 0, explore.policyName),
    episode: explore.choice("Episode", all(episodes, "episode")),
    step: explore.slider("Step", steps, 0),
  };
  let between = 0; // how far the step is done, in [0, 1)

  const chosen = ({ game, iteration, episode }) => ({
    walk: episodes.find((row) => row.game === game && row.iteration === iteration && row.episode === episode),
    policy: policies.find((row) => row.game === game && row.iteration === iteration).policies,
  });
  const cellOf = (state, i) => (i === 0 ? Math.floor(state / 9) : state % 9);
  const actionOf = (joint, i) => (i === 0 ? Math.floor(joint / 5) : joint % 5);
  const place = (cell, i) => [(cell % 3) + agents[i].shift, Math.floor(cell / 3)];
  const total = (game, walk, i, until) => d3.sum(walk.states.slice(0, until), (s) => rewards[game][i][s]);

  const back = element("button", { type: "button" }, "Step back");
  const play = element("button", { type: "button" }, "Play");
  const next = element("button", { type: "button" }, "Step on");
  const buttons = element("div", { class: "explore-buttons" }, back, play, next);

  const draw = explore.show("walks", {
    knobs,
    buttons: [buttons],
    say(values) {
      const { walk } = chosen(values);
      const t = values.step;
      const where = agents.map((agent, i) => {
        const cell = cellOf(walk.states[t], i);
        const move = walk.actions[t];
        const then = move === undefined ? "" : cell === goal ? " and is put back" : ` and ${moves[actionOf(move, i)]}`;
        return `${agent.name} is in cell ${explore.cellName(cell)}${then}`;
      });
      const gained = agents.map((_, i) => d3.format("d")(total(values.game, walk, i, t)));
      return `The ${names[values.game]} game under ${explore.policyName(values.iteration)}, episode ${values.episode}, step ${t}: ${where.join(", ")}. Rewards so far: ${gained.join(" and ")}.`;
    },
    panels(values, width) {
      const half = width < 520 ? width : Math.floor((width - 16) / 2);
      return [board(values, half), element("div", {}, gains(values, half), everywhere(values, half))];
    },
  });

  function board(values, width) {
    const { walk, policy } = chosen(values);
    const t = values.step;
    const state = walk.states[t];
    const ahead = walk.states[Math.min(t + 1, steps.length - 1)];
    const cells = d3.range(9);
    const at = agents.map((_, i) => {
      const from = place(cellOf(state, i), i);
      const to = place(cellOf(ahead, i), i);
      return from.map((x, k) => x + d3.easeCubicInOut(between) * (to[k] - x));
    });
    const square = { x1: (c) => (c % 3) - 0.5, x2: (c) => (c % 3) + 0.5, y1: (c) => Math.floor(c / 3) - 0.5, y2: (c) => Math.floor(c / 3) + 0.5 };
    const trail = agents.flatMap((agent, i) => d3.range(Math.max(0, t - 5), t).map((k) => {
      const [from, to] = [walk.states[k], walk.states[k + 1]].map((s) => cellOf(s, i));
      return { from: place(from, i), to: place(to, i), jump: from === goal, age: t - k, agent };
    })).filter((piece) => !piece.jump);
    const wishes = agents.flatMap((agent, i) => cellOf(state, i) === goal ? [] : directions.slice(0, 4).map(([dx, dy], a) => {
      const p = policy[i][5 * state + a] / 1000;
      return { agent, p, from: at[i], to: [at[i][0] + dx * (0.16 + 0.5 * p), at[i][1] + dy * (0.16 + 0.5 * p)] };
    }));
    return explore.panel("The grid", {
      width, height: width, margin: 4, axis: null,
      x: { domain: [-0.5, 2.5] }, y: { domain: [2.5, -0.5] },
      marks: [
        Plot.rect(cells, { ...square, fill: (c) => (c === goal ? "var(--explore-3)" : c === 0 ? "var(--explore-muted)" : "none"), fillOpacity: 0.2, stroke: "var(--explore-muted)" }),
        Plot.text([[0, "start"], [goal, "goal"]], { x: ([c]) => c % 3, y: ([c]) => Math.floor(c / 3) + 0.41, text: ([, name]) => name, fontSize: 13, fill: "currentColor" }),
        Plot.link(trail, { x1: (d) => d.from[0], y1: (d) => d.from[1], x2: (d) => d.to[0], y2: (d) => d.to[1], stroke: (d) => d.agent.stroke, strokeWidth: 6, strokeLinecap: "round", strokeOpacity: (d) => 0.5 - 0.08 * d.age }),
        Plot.arrow(wishes, { x1: (d) => d.from[0], y1: (d) => d.from[1], x2: (d) => d.to[0], y2: (d) => d.to[1], stroke: (d) => d.agent.stroke, strokeWidth: (d) => 1 + 5 * d.p, headLength: 6 }),
        ...agents.map((agent, i) => [
          Plot.dot([at[i]], { r: width / 26, symbol: agent.symbol, fill: agent.fill, stroke: "var(--pst-color-background)", strokeWidth: 2 }),
          Plot.text([at[i]], { text: [String(i)], fill: agent.text, fontSize: Math.round(width / 20), fontWeight: 700 }),
        ]).flat(),
      ],
      color: { type: "identity" },
      opacity: { type: "identity" },
    }, agents.map((agent) => [agent.name, explore.dotKey({ symbol: agent.symbol, fill: agent.fill })]));
  }

  // Sums of rewards along the episode.
  function gains(values, width) {
    const { walk } = chosen(values);
    const sums = agents.flatMap((agent, i) => steps.map((t) => ({ agent, t, sum: total(values.game, walk, i, t) })));
    const now = sums.filter((d) => d.t === values.step);
    const line = { x: "t", y: "sum" };
    return explore.panel("Rewards so far in this episode", {
      width, height: 0.48 * width, marginLeft: 46, marginBottom: 34, grid: true,
      x: { label: "step", labelAnchor: "center", labelArrow: "none" }, y: { label: null, ticks: 4, nice: true },
      marks: [
        Plot.ruleX([values.step], { strokeDasharray: "3,3" }),
        ...agents.map((agent) => Plot.line(sums.filter((d) => d.agent === agent), { ...line, stroke: agent.stroke, strokeWidth: 2 })),
        ...agents.map((agent) => Plot.dot(now.filter((d) => d.agent === agent), { ...line, symbol: agent.symbol, fill: agent.fill, r: 5 })),
      ],
    });
  }

  // What each policy brings, over all that was played of it.
  function everywhere(values, width) {
    const rows = policies.filter((row) => row.game === values.game);
    return explore.panel("Reward a step, in all episodes", {
      width, height: 0.48 * width, marginLeft: 46, marginBottom: 34, grid: true,
      x: { label: "iteration", ticks: iterations, tickFormat: "d", labelAnchor: "center", labelArrow: "none" }, y: { label: null, ticks: 4, nice: true },
      marks: [
        Plot.ruleX([values.iteration], { strokeDasharray: "3,3" }),
        ...agents.flatMap((agent, i) => {
          const line = { x: "iteration", y: (row) => row.reward[i], stroke: agent.stroke };
          return [
            Plot.line(rows, { ...line, strokeWidth: 1.5 }),
            Plot.dot(rows, { ...line, symbol: agent.symbol, fill: (row) => (row.iteration === values.iteration ? agent.fill : "var(--pst-color-background)"), r: (row) => (row.iteration === values.iteration ? 6 : 3) }),
          ];
        }),
      ],
      color: { type: "identity" },
      r: { type: "identity" },
    });
  }

  // Playing: frames between steps, or whole steps for those who prefer less motion.

  const says = document.querySelector("#explore-walks [role=status]");
  let running = false;
  let last = 0;

  function run(on) {
    running = on;
    play.textContent = on ? "Pause" : "Play";
    says.setAttribute("aria-live", on ? "off" : "polite"); // no sentence a step
    between = 0;
    if (on) {
      if (knobs.step.value === steps.at(-1)) knobs.step.value = 0;
      last = performance.now();
      requestAnimationFrame(frame);
    }
    draw();
  }

  function frame(now) {
    if (!running) return;
    const done = (now - last) / 1000 / seconds;
    if (done >= 1) {
      last = now;
      go(1);
      if (knobs.step.value === steps.at(-1)) return run(false);
    } else if (!calm.matches) {
      between = done;
      draw();
    }
    requestAnimationFrame(frame);
  }

  function go(by) {
    between = 0;
    knobs.step.value = Math.min(Math.max(knobs.step.value + by, 0), steps.at(-1));
    draw();
  }

  play.addEventListener("click", () => run(!running));
  for (const [button, by] of [[back, -1], [next, 1]]) {
    button.addEventListener("click", () => {
      run(false);
      go(by);
    });
  }
  knobs.step.control.addEventListener("input", () => run(false));
}
