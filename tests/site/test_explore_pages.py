"""The pictures under Explore: every knob, by mouse and by keyboard, and what is left without."""

import json
from itertools import pairwise

import pytest
from built import BUILD, HTML

PAGES = {
    "recovered": "book/17-recovered-and-true.html",
    "foretold": "book/18-foretold-and-seen.html",
    "bounds": "book/19-bounds-that-tighten.html",
    "walks": "book/20-walking-the-grid.html",
    "play": "book/22-watching-someone-learn-a-game.html",
}
KNOBS = {
    "recovered": ["game", "agent", "estimator", "episodes", "improvements"],
    "foretold": ["game", "estimator", "iteration", "first", "second"],
    "bounds": ["guess", "delta"],
    "walks": ["game", "iteration", "episode", "step"],
    "play": ["side", "against"],
}
CONTROLS = ".explore select, .explore input, .explore button"
FOCUSED = "document.activeElement.id || document.activeElement.textContent"
INK = """[".explore-says", ".explore svg text", ".explore output"].map((at) => {
    const found = document.querySelector(at);
    return found && getComputedStyle(found).color;
})"""


@pytest.fixture
def look(visit):
    """Opens the page of a picture, drawn if there are scripts."""

    def look(name, base=None, **options):
        tab = visit(base or HTML.as_uri() + "/", PAGES[name], **options)
        if options.get("java_script_enabled", True):
            tab.wait_for_selector(".explore-panels svg")
        return tab

    return look


def shown(tab):
    return tab.locator(".explore-panels").inner_html()


def said(tab):
    return tab.locator(".explore [role=status]").inner_text()


def turn(tab, name, knob):
    """Move a knob by one option, as a keyboard does."""
    control = tab.locator(f"#explore-{name}-{knob}")
    before = control.input_value()
    if control.evaluate("c => c.tagName") == "SELECT":
        last = control.locator("option").count() - 1
        control.select_option(index=0 if int(before) == last else int(before) + 1)
    else:
        control.press("ArrowLeft" if before != "0" else "ArrowRight")
    assert control.input_value() != before


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("way", ["http", "file"])
def test_every_knob_changes_its_picture_and_what_is_said(look, server, name, way):
    tab = look(name, server if way == "http" else None)
    controls = tab.locator(".explore select, .explore input").evaluate_all("c => c.map(k => k.id)")
    assert controls == [f"explore-{name}-{knob}" for knob in KNOBS[name]]
    for knob in KNOBS[name]:
        picture, sentence = shown(tab), said(tab)
        turn(tab, name, knob)
        assert shown(tab) != picture, knob
        assert said(tab) != sentence, knob


@pytest.mark.parametrize("name", PAGES)
def test_every_control_has_a_label_and_is_reached_by_tab(look, name):
    tab = look(name)
    for knob in KNOBS[name]:
        control = tab.locator(f"#explore-{name}-{knob}")
        assert len(control.evaluate("c => c.labels[0].textContent")) > 3
        if control.get_attribute("type") == "range":
            output = tab.locator(f"output[for=explore-{name}-{knob}]").inner_text()
            assert output
            assert output == control.get_attribute("aria-valuetext")
    controls = tab.locator(CONTROLS)
    controls.first.focus()
    tab.keyboard.press("Shift+Tab")
    reached = []
    for _ in range(controls.count()):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate(FOCUSED))
    assert reached == controls.evaluate_all("c => c.map((k) => k.id || k.textContent)")


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts_there_is_a_still_picture(look, name):
    tab = look(name, java_script_enabled=False)
    assert "needs scripts" in tab.locator(".explore").inner_text()
    still = tab.locator("article figure img")
    assert still.count() > 0
    for k in range(still.count()):
        assert still.nth(k).is_visible()
        assert len(still.nth(k).get_attribute("alt")) > 40


@pytest.mark.parametrize("name", PAGES)
def test_ink_follows_the_theme(look, name):
    light, dark = (look(name, color_scheme=scheme) for scheme in ("light", "dark"))
    inks = light.evaluate(INK), dark.evaluate(INK)
    assert all(a != b for a, b in zip(*inks, strict=True) if a)
    light.evaluate("document.documentElement.dataset.theme = 'dark'")  # as the theme's switch does
    assert light.evaluate(INK) == inks[1]


@pytest.mark.parametrize("name", PAGES)
def test_a_telephone_shows_all_of_it(look, name):
    tab = look(name, viewport={"width": 400, "height": 800})
    root = "document.documentElement"
    assert tab.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")
    right = tab.locator(".explore").evaluate("e => e.getBoundingClientRect().right")
    edges = tab.locator(".explore *").evaluate_all(
        "parts => parts.map((part) => part.getBoundingClientRect().right)"
    )
    assert max(edges) <= right


@pytest.mark.parametrize("name", PAGES)
def test_what_is_drawn_are_the_results(look, name):
    tab = look(name)
    results = json.loads((BUILD / "results" / f"explore_{name}.json").read_text())
    assert tab.evaluate(f"explore.data.{name}") == results
    size = (HTML / "_static" / "explore" / "data" / f"{name}.js").stat().st_size
    assert size < 300_000


@pytest.mark.parametrize("name", PAGES)
def test_pictures_have_a_name_and_nothing_in_them_has(look, name):
    tab = look(name)
    names = tab.locator(".explore svg[role=img]").evaluate_all("s => s.map(p => p.ariaLabel)")
    assert len(names) >= (1 if name == "play" else 3)
    assert all(names)
    assert tab.locator(".explore svg[role=img] [aria-label]").count() == 0


def test_the_correlation_that_is_said_is_the_one_in_the_results(look):
    tab = look("recovered")
    found = json.loads((BUILD / "results" / "explore_recovered.json").read_text())["found"]
    tab.locator("#explore-recovered-estimator").select_option(label="structural")
    slider = tab.locator("#explore-recovered-improvements")
    slider.press("Home")
    slider.press("ArrowRight")
    (row,) = [
        one for one in found
        if (one["game"], one["agent"], one["estimator"]) == ("hom", 0, "structural")
        and one["episodes"] == max(one["episodes"] for one in found) and one["improvements"] == 2
    ]  # fmt: skip
    assert f"correlation of {row['PCC']} with the true one" in said(tab)


def test_a_click_on_the_map_chooses_the_joint_state(look):
    tab = look("foretold")
    map_ = tab.locator("svg.pickable")
    box = map_.bounding_box()
    cell = (box["width"] - 38) / 9  # margins of 34 and 4
    map_.click(position={"x": 34 + 6.5 * cell, "y": 4 + 2.5 * cell})
    assert "agent 0 in cell 2 and agent 1 in cell 6" in said(tab)
    assert tab.locator("#explore-foretold-second").input_value() == "6"


def test_delta_shrinks_what_the_bounds_allow(look):
    tab = look("bounds")
    slider = tab.locator("#explore-bounds-delta")
    rows = tab.evaluate("explore.data.bounds[0].rows")
    for row, key in ((rows[-1], "End"), (rows[0], "Home")):
        slider.press(key)
        allowed = tab.evaluate("x => explore.number(x, 2)", row["Theorem 6.1"])
        assert f"Theorem 6.1 at most {allowed}" in said(tab)
    for before, after in pairwise(rows):
        assert before["Theorem 6.1"] < after["Theorem 6.1"]


def step(tab):
    return int(tab.locator("#explore-walks-step").input_value())


def test_nothing_moves_before_it_is_asked_to(look):
    tab = look("walks")
    before = shown(tab)
    tab.wait_for_timeout(1500)
    assert shown(tab) == before


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_agents_walk_and_stop_by_keyboard(look, motion):
    tab = look("walks", reduced_motion=motion)
    play = tab.get_by_role("button", name="Play")
    play.focus()
    tab.evaluate(
        """() => {
        window.pictures = new Set();
        new MutationObserver(() => window.pictures.add(
            document.querySelector(".explore-panels svg[role=img]").innerHTML
        )).observe(document.querySelector(".explore-panels"), {childList: true});
    }"""
    )
    tab.keyboard.press("Space")
    tab.wait_for_function("document.querySelector('#explore-walks-step').value >= 3")
    assert tab.locator("[role=status]").get_attribute("aria-live") == "off"
    tab.get_by_role("button", name="Pause").press("Enter")
    stopped, pictures = step(tab), tab.evaluate("window.pictures.size")
    assert tab.locator("[role=status]").get_attribute("aria-live") == "polite"
    tab.wait_for_timeout(1500)
    assert step(tab) == stopped
    assert tab.get_by_role("button", name="Play").is_visible()
    if motion == "reduce":
        assert pictures <= stopped + 1
    else:
        assert pictures > stopped + 1


def test_single_steps_on_and_back(look):
    tab = look("walks")
    tab.get_by_role("button", name="Step on").press("Enter")
    tab.get_by_role("button", name="Step on").press("Space")
    assert step(tab) == 2
    assert "step 2:" in said(tab)
    tab.get_by_role("button", name="Step back").press("Enter")
    assert step(tab) == 1
    for _ in range(3):
        tab.get_by_role("button", name="Step back").click()
    assert step(tab) == 0


def test_playing_ends_with_the_episode_and_starts_it_again(look):
    tab = look("walks", reduced_motion="reduce")
    slider = tab.locator("#explore-walks-step")
    slider.press("End")
    last = step(tab)
    slider.press("ArrowLeft")
    tab.get_by_role("button", name="Play").click()
    tab.wait_for_selector("button:text('Play')")
    assert step(tab) == last
    tab.get_by_role("button", name="Play").click()
    tab.wait_for_function("document.querySelector('#explore-walks-step').value == 1")


def squares(tab):
    return [one.strip() for one in tab.locator(".explore-board button").all_inner_texts()]


def take(tab, cell):
    tab.locator(f"#explore-play-{cell}").press("Enter")


def test_the_observer_answers_and_a_taken_square_stays(look):
    tab = look("play")
    assert squares(tab) == [""] * 9
    take(tab, 4)
    board = squares(tab)
    assert board[4] == "X"
    assert sorted(board) == [""] * 7 + ["O", "X"]
    take(tab, 4)
    assert squares(tab) == board
    tab.get_by_role("button", name="New game").click()
    assert squares(tab) == [""] * 9


def test_who_plays_second_is_begun_with(look):
    tab = look("play")
    turn(tab, "play", "side")
    assert sorted(squares(tab)) == [""] * 8 + ["X"]
    assert "You play O" in said(tab)


@pytest.mark.parametrize("against", ["observer", "learner"])
def test_a_game_is_played_to_its_end(look, against):
    tab = look("play")
    if against == "learner":
        turn(tab, "play", "against")
    for _ in range(9):
        free = [cell for cell, mark in enumerate(squares(tab)) if not mark]
        if "your turn" not in said(tab):
            break
        take(tab, free[0])
    assert any(end in said(tab) for end in ("You have won", "You have lost", "It is a draw"))
    board = squares(tab)
    take(tab, free[0])
    assert squares(tab) == board


def test_the_page_plays_as_the_observer_does(look):
    """Its first answers are those of the same look ahead, from the results."""
    tab = look("play")
    ends = {
        int(key): one[0]
        for key, one in json.loads((BUILD / "results" / "explore_play.json").read_text())[
            "ends"
        ].items()
    }

    def worth(board):
        code = sum(mark * 3**cell for cell, mark in enumerate(board))
        if code in ends:
            return ends[code]
        free = [cell for cell, mark in enumerate(board) if mark == 0]
        mover = 1 if len(free) % 2 else 2
        ahead = [worth((*board[:c], mover, *board[c + 1 :])) for c in free]
        return 0.95 * (max if mover == 1 else min)(ahead)

    for cell in (0, 4):
        tab.get_by_role("button", name="New game").click()
        board = tuple(1 if c == cell else 0 for c in range(9))
        take(tab, cell)
        (answer,) = [c for c, mark in enumerate(squares(tab)) if mark == "O"]
        after = {c: worth((*board[:c], 2, *board[c + 1 :])) for c in range(9) if c != cell}
        assert after[answer] == pytest.approx(min(after.values()), abs=1e-6)
