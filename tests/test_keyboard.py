"""Each chapter by keyboard alone, without motion, and with its figures described."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from browsing import FRAME, PAGES, VIEWPORTS, View, live_text, no_frames
from playwright.sync_api import Browser, Page, expect

CHAPTERS = [name for name in PAGES if name.startswith("chapters/")]

# Arithmetic of colours, as in WCAG 2.
COLOURS = """window.colours = () => {
    const colour = text => {
        const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
        return [r, g, b, a];
    };
    const light = ([r, g, b]) => [r, g, b].map(part => part / 255)
        .map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const over = ([r, g, b, a], ground) => [r, g, b].map((part, i) => part * a + ground[i] * (1 - a));
    const ground = e => {
        if (!e) return [255, 255, 255];
        const [r, g, b, a] = colour(getComputedStyle(e).backgroundColor);
        return a === 1 ? [r, g, b] : over([r, g, b, a], ground(e.parentElement));
    };
    return { colour, contrast, over, ground };
};"""

# What a Tab should meet, in the order of the page; and before each key, what the keys before it led to.
# With `short`, the skip link leads past what is the same on every page.
WATCH = """short => {
    const { colour, contrast, over, ground } = colours();
    const closed = [...document.querySelectorAll('details:not([open])')];
    closed.forEach(box => { box.open = true; });
    const shown = e => e.checkVisibility({ visibilityProperty: true }) && !e.closest('dialog:not([open])');
    const scrolls = e => ['overflowX', 'overflowY'].some((name, axis) =>
        /auto|scroll/.test(getComputedStyle(e)[name]) &&
        (axis ? e.scrollHeight > e.clientHeight : e.scrollWidth > e.clientWidth));
    const control = 'a[href], button, input, select, textarea, summary, [tabindex]';
    const other = e => e.type === 'radio' &&
        e !== ([...e.form.elements[e.name]].find(one => one.checked) ?? e.form.elements[e.name][0]);
    const skip = document.querySelector('.skip-link a');
    const inside = e => e === skip || e.closest('main') && !e.closest('#pst-secondary-sidebar');
    const all = [...document.querySelectorAll('body *')].filter(e => !short || inside(e));
    const wanted = all.filter(e => shown(e) && (e.matches(control)
        ? e.tabIndex >= 0 && !e.disabled && !other(e)
        : scrolls(e) && !e.querySelector(control)));
    closed.forEach(box => { box.open = false; });

    /** The contrast of the widest ring around what has the focus, or around the tile that stands for it. */
    const ring = e => {
        const tile = e.matches('.cf-choice input') ? e.nextElementSibling : e;
        const { outlineStyle, outlineWidth, outlineColor, boxShadow } = getComputedStyle(tile);
        const shadows = boxShadow.matchAll(/(rgba?\\([^)]*\\)) 0px 0px 0px ([\\d.]+)px(?! inset)/g);
        const rings = [...shadows].map(([, name, width]) => [name, parseFloat(width)]);
        if (outlineStyle !== 'none') rings.push([outlineColor, parseFloat(outlineWidth)]);
        const [best] = rings.filter(([, width]) => width >= 2).map(([name]) => colour(name));
        return best ? contrast(over(best, ground(tile.parentElement)), ground(tile.parentElement)) : 0;
    };
    const problems = e => {
        const tile = e.matches('.cf-choice input') ? e.nextElementSibling : e;
        const [box] = tile.getClientRects();
        const [x, y] = [box.left + box.width / 2, box.top + Math.min(box.height, innerHeight) / 2];
        const top = document.elementFromPoint(x, y);
        const inside = box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight;
        return [
            !tile.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && 'not to be seen',
            !inside && box.height < innerHeight / 2 && 'outside of the view',
            !(top && (e.contains(top) || top.contains(e) || tile.contains(top))) && 'covered',
            ring(e) < 3 && `ring with contrast ${ring(e).toFixed(1)}`,
            e.tabIndex > 0 && 'out of order',
        ].filter(Boolean);
    };
    const told = e =>
        [...e.closest('figure').querySelectorAll('[aria-live]')].map(one => one.innerText).join();
    const stops = [];
    let before, heard = [];
    window.note = ({ key } = {}) => {
        const now = document.activeElement;
        if (before === ' ' && !now.parentElement.open) stops.at(-1).problems.push('does not open');
        if (heard.length && key === 'Tab') {
            heard.push(told(now));
            if (new Set(heard.splice(0)).size === 1) stops.at(-1).problems.push('does not move');
        }
        if (before === 'Tab' && now !== document.body) {
            const { left, top, right, bottom } = now.getBoundingClientRect();
            stops.push({
                index: wanted.indexOf(now),
                label: now.outerHTML.replace(/\\s+/g, ' ').slice(0, 120),
                problems: problems(now),
                box: [left, top + scrollY, right, bottom + scrollY],
                text: Boolean(now.closest('article')),
            });
        }
        if (key?.startsWith('Arrow')) heard.push(told(now));
        before = key;
    };
    addEventListener('keydown', note, true);
    window.walked = () => { note(); return stops.splice(0); };
    const keys = e => [...(e.matches('summary') ? [' '] : []), ...(short && e === skip ? ['Enter'] : []),
        ...(e.matches('[role=application]') ? ['ArrowRight', 'ArrowLeft'] : [])];
    return wanted.map(e => [keys(e), e.outerHTML.replace(/\\s+/g, ' ').slice(0, 120)]);
}"""

# Text of drawings whose contrast with what lies under it is below 4.5; axe does not look at it.
PALE = """() => {
    const { colour, contrast, over } = colours();
    const style = document.head.appendChild(document.createElement('style'));
    style.textContent = '.convlab-figure svg * { pointer-events: auto !important }';
    const under = (text, x, y) => {
        const layers = [];
        for (const e of document.elementsFromPoint(x, y)) {
            if (e.closest('text') || text === e) continue;
            const { fill, fillOpacity, opacity, backgroundColor } = getComputedStyle(e);
            if (e.matches('canvas, image, img')) return undefined;
            const svg = e.matches('svg *');
            if (svg && fill === 'none') continue;
            const [r, g, b, a] = colour(svg ? fill : backgroundColor);
            layers.push([r, g, b, a * (svg ? fillOpacity : 1) * opacity]);
            if (layers.at(-1)[3] === 1) break;
        }
        return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255]);
    };
    let checked = 0;
    const pale = [];
    for (const text of document.querySelectorAll('.convlab-figure svg :is(text, tspan)')) {
        if (!text.textContent.trim() || text.querySelector('tspan') || !text.checkVisibility()) continue;
        let box = text.getBoundingClientRect();
        if (box.top < 0 || box.bottom > innerHeight) {
            text.scrollIntoView({ block: 'start' });
            scrollBy(0, -100);
            box = text.getBoundingClientRect();
        }
        const { fill, stroke, strokeWidth, paintOrder } = getComputedStyle(text);
        const halo = paintOrder.startsWith('stroke') && stroke !== 'none' && parseFloat(strokeWidth) >= 2;
        const place = [box.left + box.width / 2, box.top + box.height / 2];
        const ground = halo ? colour(stroke) : under(text, ...place);
        if (!ground) continue;
        checked += 1;
        const [r, g, b, a] = colour(fill);
        const found = contrast(over([r, g, b, a], ground), ground);
        if (found < 4.5) pale.push([text.textContent, text.className.baseVal, fill, ground.join(), found]);
    }
    style.remove();
    return [checked, pale];
}"""

# Elements that move, or would, and the page that would scroll smoothly.
MOVING = """() => [...document.querySelectorAll('*')].flatMap(e => ['', '::before', '::after'].map(part => {
    const style = getComputedStyle(e, part);
    const times = `${style.transitionDuration}, ${style.animationDuration}`.split(', ').map(parseFloat);
    const moves = Math.max(...times) > 0.01 || style.scrollBehavior !== 'auto';
    return moves && `${e.outerHTML.slice(0, 80)} ${part}`;
})).filter(Boolean).concat(document.getAnimations().map(one => `${one.animationName ?? one}`))"""

HOLDER = "document.activeElement.closest('dialog')?.id ?? document.activeElement.className"


@pytest.fixture(scope="module", params=CHAPTERS)
def opened(request, browser: Browser, origin: str) -> Iterator[View]:
    context = browser.new_context(viewport=VIEWPORTS["desktop"], reduced_motion="reduce")
    context.add_init_script(COLOURS)
    view = View(context.new_page())
    view.open(origin, request.param)
    yield view
    context.close()


@pytest.fixture
def phone(browser: Browser, origin: str) -> Iterator[Page]:
    """The chapter on pooling, on a phone."""
    context = browser.new_context(viewport=VIEWPORTS["phone"], reduced_motion="reduce")
    context.add_init_script(COLOURS)
    view = View(context.new_page())
    view.open(origin, "chapters/04_pooling.html")
    yield view.page
    context.close()


@pytest.fixture
def leaf(browser: Browser, origin: str) -> Iterator[Page]:
    """A short page on a phone: the frame of all pages is the same."""
    context = browser.new_context(viewport=VIEWPORTS["phone"], reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{origin}/book/how-to-use.html")
    yield page
    context.close()


def walk(page: Page, short: bool = False) -> int:
    """Tab through a page from its beginning, open what opens, move what moves; check every stop."""
    page.evaluate("scrollTo(0, 0)")
    wanted = page.evaluate(WATCH, short)
    assert "Skip to main content" in wanted[0][1]
    for keys, _ in wanted:
        page.keyboard.down("Tab")  # and not up: half the time
        for key in keys:
            page.keyboard.press(key)
            page.evaluate(FRAME)
    page.keyboard.up("Tab")
    stops = page.evaluate("walked()")
    order = [stop["index"] for stop in stops]
    missed = [name for n, (_, name) in enumerate(wanted) if n not in order]
    unknown = [stop["label"] for stop in stops if stop["index"] < 0]
    assert (missed, unknown) == ([], [])
    assert order == sorted(set(order))
    check_stops(stops)
    return len(wanted)


def check_stops(stops: list[dict]) -> None:
    """Each stop is seen, and stands below the one before it, or right of it."""
    assert [(stop["label"], stop["problems"]) for stop in stops if stop["problems"]] == []
    for one, other in pairwise(stops):
        if one["text"] and other["text"]:
            (_, top, right, _), (left, _, _, bottom) = one["box"], other["box"]
            assert bottom > top or left >= right, (one["label"], other["label"])


def test_walk(opened):
    assert walk(opened.page, short=opened.name != CHAPTERS[0]) > 60
    assert opened.complaints() == []


def test_no_key_is_lost_between_two_frames(opened):
    """Two quick keys lead where two slow ones lead."""
    for stage in opened.page.get_by_role("application").all():
        figure = stage.locator("xpath=ancestor::figure")
        told = []
        for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"):
            stage.press(key)
            opened.page.evaluate(FRAME)
            told.append(live_text(figure))
        assert told[5] == told[1] != told[3]
        with no_frames(opened.page):
            stage.press("ArrowRight")
            stage.press("ArrowRight")
        assert live_text(figure) == told[3]


def test_walk_back_on_a_phone(phone):
    phone.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true; })")
    wanted = phone.evaluate(WATCH, False)
    phone.evaluate("[...document.querySelectorAll('.prev-next-area a')].at(-1).focus()")
    phone.keyboard.down("Shift")
    for _ in wanted[1:]:
        phone.keyboard.down("Tab")
    phone.keyboard.up("Tab")
    stops = phone.evaluate("walked()")
    order = [stop["index"] for stop in stops]
    assert order == list(range(len(wanted) - 2, -1, -1))
    assert len(order) > 60
    check_stops(stops[::-1])


def test_figures_have_names_and_descriptions(opened):
    session = opened.page.context.new_cdp_session(opened.page)
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    surfaces = session.send("Accessibility.queryAXTree", {"nodeId": root, "role": "application"})["nodes"]
    assert len(surfaces) >= opened.page.locator("[data-convlab-figure]").count()
    for surface in surfaces:
        name, description = (surface.get(part, {}).get("value", "") for part in ("name", "description"))
        assert re.search("arrow keys", name, re.IGNORECASE)
        assert len(description) > 20, name
    labels = opened.page.locator("[data-convlab-figure]").evaluate_all("all => all.map(e => e.ariaLabel)")
    assert [label for label in labels if len(label or "") < 200] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_in_figures_stands_out(opened, theme):
    opened.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    checked, pale = opened.page.evaluate(PALE)
    assert (checked > 5, pale) == (opened.page.locator(".convlab-figure svg text").count() > 5, [])


@pytest.mark.parametrize("name", PAGES)
def test_headings_are_in_order(site, name):
    page = (site / name).read_text(encoding="utf-8")
    on_screen = re.sub(r'(?s)<div id="jb-print-docs-body".*?</div>', "", page)  # a title for paper alone
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", on_screen)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(b - a for a, b in pairwise([0, *levels])) == 1


def test_nothing_moves_for_those_who_ask_for_it(leaf):
    assert leaf.evaluate(MOVING) == []
    leaf.emulate_media(reduced_motion="no-preference")
    assert leaf.evaluate(MOVING) != []


def test_the_skip_link_leads_to_the_content(leaf):
    leaf.keyboard.press("Tab")
    assert leaf.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    leaf.keyboard.press("Enter")
    leaf.keyboard.press("Tab")
    assert leaf.evaluate("document.activeElement.closest('main') !== null")


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_side_bar_holds_the_focus_and_gives_it_back(leaf, side):
    button = leaf.locator(f".{side}-toggle:visible")
    button.focus()
    leaf.keyboard.press("Enter")
    bar = leaf.locator(f"#pst-{side}-sidebar-modal")
    stops = []
    for _ in range(bar.locator("a, button").count() + 3):  # the browser itself is a stop too
        stops.append(leaf.evaluate(HOLDER))
        leaf.keyboard.press("Tab")
    assert set(stops) <= {f"pst-{side}-sidebar-modal", leaf.evaluate("document.body.className")}
    assert len(set(stops[:3])) == 1
    leaf.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    expect(button).to_be_focused()


def test_theme_and_search_by_keyboard(leaf):
    button = leaf.locator(".theme-switch-button:visible")
    button.focus()
    modes = []
    for _ in range(3):
        leaf.keyboard.press("Enter")
        modes.append(leaf.locator("html").get_attribute("data-mode"))
    assert sorted(modes) == ["auto", "dark", "light"]
    expect(button).to_be_focused()
    button = leaf.locator(".search-button:visible")
    button.focus()
    leaf.keyboard.press("Enter")
    field = leaf.locator("input[type=search]:visible")
    expect(field).to_be_focused()
    leaf.keyboard.press("Escape")
    expect(field).to_be_hidden()
    expect(button).to_be_focused()
    leaf.keyboard.press("Enter")
    leaf.keyboard.type("stride")
    leaf.keyboard.press("Enter")
    leaf.wait_for_url("**/search.html?q=stride")
