"use strict";
// Tic-tac-toe against the observer, or against what it has watched. Nothing here knows which ends
// are won but the results: `ends` has what the observer thinks of each, and what is true.
{
  const { gamma, ends, learner } = explore.data.play;
  const { element } = explore;
  const cells = d3.range(9);
  const marks = ["", "X", "O"];
  const where = cells.map((c) => `${["top", "middle", "bottom"][Math.floor(c / 3)]} ${["left", "centre", "right"][c % 3]}`);
  const sides = { first: "X, and move first", second: "O, and move second" };
  const opponents = { observer: "the observer", learner: "the last learner" };
  const knobs = {
    side: explore.choice("You play", Object.keys(sides), Object.values(sides)),
    against: explore.choice("Against", Object.keys(opponents), Object.values(opponents)),
  };
  let squares = [];
  let from = ""; // the knobs that the game on the board began with

  const code = (board) => String(d3.sum(board, (mark, c) => mark * 3 ** c));
  const over = (board) => code(board) in ends;
  const free = (board) => cells.filter((c) => board[c] === 0);
  const mover = (board) => (free(board).length % 2 === 1 ? 1 : 2);
  const after = (board, cell) => board.map((mark, c) => (c === cell ? mover(board) : mark));

  // What the observer expects a position to be worth to X, both sides playing for what it found.
  const known = new Map();
  const worth = (board) => {
    const key = code(board);
    if (!known.has(key)) {
      const ahead = over(board) ? [] : free(board).map((c) => worth(after(board, c)));
      known.set(key, over(board) ? ends[key][0] : gamma * (mover(board) === 1 ? d3.max(ahead) : d3.min(ahead)));
    }
    return known.get(key);
  };
  const best = (board) => {
    const sign = mover(board) === 1 ? 1 : -1;
    return d3.greatest(free(board), (a, b) => d3.ascending(sign * worth(after(board, a)), sign * worth(after(board, b))));
  };
  const drawn = (board) => {
    const shares = learner[code(board)];
    let left = Math.random() * d3.sum(shares);
    return free(board)[shares.findIndex((share) => (left -= share) < 0)];
  };
  const answer = (against) => {
    if (!over(squares)) squares = after(squares, against === "observer" ? best(squares) : drawn(squares));
  };

  const begin = ({ side, against }) => {
    squares = cells.map(() => 0);
    if (side === "second") answer(against);
    from = side + against;
  };
  const mine = ({ side }) => (side === "first" ? 1 : 2);

  const outcome = (values) => {
    if (!over(squares)) return `It is your turn; you are ${marks[mine(values)]}.`;
    const won = ends[code(squares)][1] * (mine(values) === 1 ? 1 : -1);
    return won > 0 ? "You have won." : won < 0 ? "You have lost." : "It is a draw.";
  };

  const buttons = cells.map((c) => {
    const button = element("button", { type: "button", id: `explore-play-${c}` });
    button.addEventListener("click", () => {
      if (squares[c] !== 0 || over(squares)) return;
      squares = after(squares, c);
      answer(knobs.against.value);
      draw();
    });
    return button;
  });
  const again = element("button", { type: "button" }, "New game");
  again.addEventListener("click", () => {
    begin({ side: knobs.side.value, against: knobs.against.value });
    draw();
  });
  const board = element("div", { class: "explore-board", role: "group", "aria-label": "Board" }, ...buttons);

  const label = (c) => {
    buttons[c].textContent = marks[squares[c]] || "\u00a0";
    buttons[c].setAttribute("aria-label", `${where[c]}: ${marks[squares[c]] || "free"}`);
  };

  const draw = explore.show("play", {
    knobs,
    buttons: [board, element("div", { class: "explore-buttons" }, again)],
    say(values) {
      if (from !== values.side + values.against) begin(values);
      cells.forEach(label);
      return `You play ${sides[values.side].slice(0, 1)} against ${opponents[values.against]}. ${outcome(values)}`;
    },
    panels: (values, width) => [thoughts(values, Math.min(width, 340))],
  });

  function thoughts(values, width) {
    const observer = values.against === "observer";
    const open = over(squares) ? [] : free(squares);
    const numbers = observer
      ? open.map((c) => worth(after(squares, c)) / 1000)
      : open.map((c, k) => learner[code(squares)][k]);
    const title = observer ? "What the observer thinks each move is worth to X" : "How the last learner would move, in %";
    const square = { x1: (c) => (c % 3) - 0.5, x2: (c) => (c % 3) + 0.5, y1: (c) => Math.floor(c / 3) - 0.5, y2: (c) => Math.floor(c / 3) + 0.5 };
    const at = { x: (c) => c % 3, y: (c) => Math.floor(c / 3) };
    const strength = d3.max(numbers, Math.abs) || 1;
    return explore.panel(title, {
      width, height: width, margin: 4, axis: null,
      x: { domain: [-0.5, 2.5] }, y: { domain: [2.5, -0.5] }, opacity: { type: "identity" }, color: { type: "identity" },
      marks: [
        Plot.rect(open, { ...square, fill: (c) => (numbers[open.indexOf(c)] < 0 ? "var(--explore-2)" : "var(--explore-1)"), fillOpacity: (c) => 0.4 * Math.abs(numbers[open.indexOf(c)]) / strength }),
        Plot.rect(cells, { ...square, stroke: "var(--explore-muted)" }),
        Plot.text(cells, { ...at, text: (c) => marks[squares[c]], fontSize: width / 5, fontWeight: 600, fill: "currentColor" }),
        Plot.text(open, { ...at, text: (c) => d3.format(observer ? "+.2f" : ".0f")(numbers[open.indexOf(c)]), fontSize: 15, fill: "currentColor" }),
      ],
    });
  }
}
