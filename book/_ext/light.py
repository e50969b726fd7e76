"""Pages that are light: their own rules of style and no others, icons as SVG, scripts that wait for the text.

What the theme sends with every page is more than a megabyte. Here each finished page gets the rules that it
can need in its head and the icons that it shows in their places; what an interactive figure is made of
becomes files, which `light.js` loads when it comes near the view.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from dataclasses import dataclass
from html import escape
from pathlib import Path

import tinycss2
from fontTools import subset
from sphinx.application import Sphinx
from sphinx.config import Config
from tinycss2.ast import AtRule, Node, QualifiedRule

LOADER = Path(__file__).with_suffix(".js")
STATIC = Path(__file__).parent.parent / "_static"
HEIGHTS_FILE = Path(__file__).with_suffix(".json")  # written by `python tools/heights.py`
HEIGHTS = json.loads(HEIGHTS_FILE.read_text(encoding="utf-8"))
FIGURES = "_static/figures"

LINK = re.compile(r'<link(?=[^>]*rel="stylesheet")[^>]*href="([^"?]*)[^>]*>\s*')
ICON = re.compile(r'<(i|span) class="([^"]*\bfa-[^"]*)"([^>]*)></\1>')
SHAPE = re.compile(r'"?([\w-]+)"?:\[(\d+),(\d+),\[([^\]]*)\],"[0-9a-f]+","([^"]+)"\]')
FIGURE = re.compile(
    r'(<div class="convlab-figure" data-convlab-figure="[^>]*)(>.*?)((?:<script type=.*?</script>\s*){3})',
    re.DOTALL,
)
PART = re.compile(r'<script type="([^"]*)">\n?(.*?)</script>', re.DOTALL)
NOT_NEEDED = [
    re.compile(r'\s*<script[^>]*src="[^"]*fontawesome\.js[^>]*></script>'),
    re.compile(r'\s*<link rel="preload" as="script"[^>]*>'),
    re.compile(r'\s*<script[^>]*src="[^"]*design-tabs\.js[^>]*></script>'),
]
FOR_SEARCH = [  # the search page needs them, at once
    re.compile(r'\s*<script[^>]*src="[^"]*(?:searchtools|language_data|searchindex)\.js[^>]*></script>'),
    re.compile(r"\s*<script>DOCUMENTATION_OPTIONS\.[^<]*</script>"),
]
SCRIPT = re.compile(r"<script(?![^>]*\bdefer\b)(?=[^>]*\bsrc=)")
DEFERRED = re.compile(r"\s*<script defer[^>]*></script>")
SOURCE = re.compile(r'<script[^>]*\bsrc="([^"?]*)')
MADE_BY_SCRIPTS = (  # classes and tags that the theme's scripts bring to a page
    "bs-tooltip-auto context copybtn dropdown-menu-dark fade h2 highlighted highlight-link icon noprint "
    "o-tooltip--left pst-sidebar-hidden rect scrolled search search-summary show success textarea "
    "tooltip tooltip-arrow tooltip-inner"
)
STYLES = {"fa-solid", "fa-brands", "fas", "fab"}
ADDED = """.svg-inline--fa{height:1em;overflow:visible;vertical-align:-.125em}
@font-face{font-family:"Font Awesome 6 Free";font-weight:900;src:url("/_static/icons.woff")}
@media (scripting:enabled){[data-parts]{min-height:var(--desktop)}}
@media (scripting:enabled) and (max-width:40rem){[data-parts]{min-height:var(--phone)}}
"""


@dataclass
class Rule:
    """A rule of style: its selectors, each with the names that must be on a page, and its declarations."""

    selectors: list[tuple[str, set[str]]]
    body: str


@dataclass
class Block:
    """Rules within `@media` or the like."""

    head: str
    rules: list["Rule | Block"]


def needs(selector: str) -> set[str]:
    r"""The tags, classes and ids that a selector asks for.

    >>> sorted(needs("a.b:not(.c, .d) > #e::before")), needs("[f]"), needs(r".w-50\%")
    (['a', 'b', 'e'], set(), {'w-50%'})
    """
    plain, shorter = "", re.sub(r"\[[^\]]*\]", "", selector)
    while plain != shorter:
        plain, shorter = shorter, re.sub(r"::?[\w-]+(?:\([^()]*\))?", "", shorter)
    return {re.sub(r"\\(.)", r"\1", name) for name in re.findall(r"(?:\\.|[\w-])+", plain)}


def selectors(prelude: list[Node]) -> list[str]:
    """The selectors of a rule.

    >>> selectors(tinycss2.parse_component_value_list("a:is(b, c), d"))
    ['a:is(b, c)', 'd']
    """
    parts: list[list[Node]] = [[]]
    for node in prelude:
        if node == ",":
            parts.append([])
        else:
            parts[-1].append(node)
    return [tinycss2.serialize(part).strip() for part in parts]


def read(path: Path) -> list[Rule | Block]:
    """The rules of a style sheet and of those that it imports, with addresses from the root of the site."""
    root = next(folder for folder in path.parents if folder.name == "_static").parent
    text = re.sub(
        r"""url\(\s*["']?(?!data:|#)([^"')]+)["']?\s*\)""",
        lambda match: f'url("/{os.path.relpath(path.parent / match[1], root)}")',
        path.read_text(encoding="utf-8"),
    )
    imported = re.findall(r'@import\s+"([^"]+)"', text)
    rules = [rule for name in imported for rule in read((path.parent / name).resolve())]
    return rules + compile_rules(tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True))


def compile_rules(nodes: list[Node]) -> list[Rule | Block]:
    """Note for each rule what it needs; leave out those that are not for pages."""
    found: list[Rule | Block] = []
    for node in nodes:
        if isinstance(node, QualifiedRule):
            body = tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True)
            text = ";".join(declaration.serialize() for declaration in body)
            found.append(Rule([(one, needs(one)) for one in selectors(node.prelude)], text))
        elif isinstance(node, AtRule) and node.content is not None:
            head = f"@{node.at_keyword}{tinycss2.serialize(node.prelude).rstrip()}"
            if node.lower_at_keyword in ("media", "supports"):
                inner = tinycss2.parse_rule_list(node.content, skip_comments=True, skip_whitespace=True)
                found.append(Block(head, compile_rules(inner)))
            elif "Font Awesome" not in node.serialize():
                found.append(Rule([(head, set())], tinycss2.serialize(node.content)))
    return found


def names_on(page: str) -> set[str]:
    """The tags, classes and ids of a page.

    >>> sorted(names_on('<p class="a b"><img id="c">'))
    ['a', 'b', 'c', 'img', 'p']
    """
    values = re.findall(r'(?:class|id)="([^"]*)"', page)
    return set(re.findall(r"<([a-z][\w-]*)", page)).union(*(value.split() for value in values))


def choose(rules: list[Rule | Block], names: set[str]) -> str:
    """The text of the rules that a page with these names can need."""
    text = ""
    for rule in rules:
        if isinstance(rule, Block):
            inner = choose(rule.rules, names)
            text += f"{rule.head}{{{inner}}}" if inner else ""
        elif kept := [selector for selector, needed in rule.selectors if needed <= names]:
            text += f"{','.join(kept)}{{{rule.body}}}"
    return text


def without_unread(style: str, others: str) -> str:
    """Leave out the variables that neither a rule nor `others` reads, and then those that these read.

    >>> without_unread("a{--b:1;--c:var(--b);--d:2;color:var(--d)}", "")
    'a{--d:2;color:var(--d)}'
    """
    while True:
        known = set(re.findall(r"var\(\s*(--[\w-]+)", style)) | set(re.findall(r"--[\w-]+", others))
        shorter = re.sub(
            r"(?<=[{;])\s*(--[\w-]+)\s*:(?:\"[^\"]*\"|'[^']*'|[^;{}\"'])*(?:;|(?=\}))",
            lambda match, known=known: match[0] if match[1] in known else "",
            style,
        )
        if shorter == style:
            return re.sub(r"[^{}]*\{\s*\}", "", style)
        style = shorter


def text_first(page: str) -> str:
    """Move the scripts that wait for the text from the head behind it, so that they don't share its line.

    >>> text_first("<head><script defer src=a></script></head><p><script defer src=b></script>")
    '<head></head><p><script defer src=a></script><script defer src=b></script>'
    """
    head, end, body = page.partition("</head>")
    moved = "".join(DEFERRED.findall(head))
    place = DEFERRED.search(body).start()
    return DEFERRED.sub("", head) + end + body[:place] + moved + body[place:]


class Site:
    """What all pages of a site share: rules of style and shapes of icons, read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sheets: dict[Path, list[Rule | Block]] = {}
        font = root / "_static/scripts/fontawesome.js"
        self.shapes: dict[str, tuple[str, str, str]] = {}
        for name, width, height, others, outline in SHAPE.findall(font.read_text(encoding="utf-8")):
            for alias in (name, *re.findall(r'"([\w-]+)"', others)):
                self.shapes[alias] = (width, height, outline)

    def lighten(self, path: Path) -> None:
        """Write a page again, light."""
        page = path.read_text(encoding="utf-8")
        for pattern in NOT_NEEDED if path.name == "search.html" else NOT_NEEDED + FOR_SEARCH:
            page = pattern.sub("", page)
        if path.name != "search.html":
            page = text_first(SCRIPT.sub("<script defer", page))
        page = ICON.sub(self.icon, page)
        first = LINK.search(page)
        up = first[1].partition("_static/")[0]  # "../", or "/" on the page of a wrong address
        style = (ADDED + self.style(page)).replace('url("/', f'url("{up}')
        page = f"{page[: first.start()]}<style>{style}</style>\n{LINK.sub('', page[first.start() :])}"
        heights = iter(HEIGHTS.get(path.stem, []))
        page, figures = FIGURE.subn(lambda match: self.figure(match, up, next(heights, None)), page)
        if figures:
            loader = LOADER.read_text(encoding="utf-8")
            page = page.replace("</body>", f"<script>\n{loader}</script>\n</body>")
        path.write_text(page, encoding="utf-8")

    def file(self, address: str) -> Path:
        """The file in `_static` that a page calls by this address."""
        return self.root / "_static" / address.partition("_static/")[2]

    def icon(self, match: re.Match[str]) -> str:
        """An icon of Font Awesome as its script would draw it."""
        names = re.findall(r"\bfa-([\w-]+)", match[2])
        name = next((name for name in names if name in self.shapes), None)
        if name is None:
            raise ValueError(f"Font Awesome has no icon of the classes {match[2]!r}")
        width, height, outline = self.shapes[name]
        kept = " ".join(word for word in match[2].split() if word not in STYLES)
        return (
            f'<svg class="svg-inline--fa {kept}"{match[3]} aria-hidden="true" viewBox="0 0 {width} {height}">'
            f'<path fill="currentColor" d="{outline}"/></svg>'
        )

    def figure(self, match: re.Match[str], up: str, heights: list[int] | None) -> str:
        """A figure whose parts are files, in a box as high as it will be on a phone and on a desktop."""
        opening, still, scripts = match.groups()
        parts = []
        for kind, text in PART.findall(scripts):
            name = hashlib.sha256(text.encode()).hexdigest()[:16] + ".js"
            file = self.root / FIGURES / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(f'convlabParts["{name}"] = {json.dumps(text)};\n', encoding="utf-8")
            parts.append([kind, f"{up}{FIGURES}/{name}"])
        box = "--phone:{}px;--desktop:{}px".format(*heights) if heights else ""
        return f'{opening} style="{box}" data-parts="{escape(json.dumps(parts))}"{still}'

    def style(self, page: str) -> str:
        """The rules that a page can need, in the order of its style sheets."""
        names = names_on(page) | set(MADE_BY_SCRIPTS.split())
        scripts = "".join(re.findall(r"<script[^>]*>(.+?)</script>", page, re.DOTALL))
        for source in SOURCE.findall(page):
            if "_static/" in source:  # not the index of the search
                scripts += self.file(source).read_text(encoding="utf-8")
        chosen = ""
        for address in LINK.findall(page):
            sheet = self.file(address)
            if sheet not in self.sheets:
                self.sheets[sheet] = read(sheet)
            chosen += choose(self.sheets[sheet], names)
        return without_unread(chosen, page + scripts)


def write_icons(static: Path) -> None:
    """Keep of the font of icons what rules of style ask for by `content`."""
    rules = "".join(path.read_text(encoding="utf-8") for path in sorted(static.glob("styles/*theme.css")))
    codes = re.findall(r'--pst-icon[\w-]*:\s*"\\(f[0-9a-f]{3})"', rules)
    codes += re.findall(r'onthispage:after\{[^}]*content:"\\(f[0-9a-f]{3})"', rules)
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    font = subset.load_font(static / "vendor/fontawesome/webfonts/fa-solid-900.ttf", subset.Options())
    chosen = subset.Subsetter(subset.Options(layout_features=[], notdef_outline=True))
    chosen.populate(unicodes=[int(code, 16) for code in codes])
    chosen.subset(font)
    font.flavor = "woff"
    font.save(static / "icons.woff")


def lighten_all(app: Sphinx, exception: Exception | None) -> None:
    """Make the new pages light, and leave out the files that they no longer need."""
    if exception or app.builder.name != "html":
        return
    root = Path(app.outdir)
    static = root / "_static"
    for path in static.glob("*macros.html"):  # the theme's own, by accident
        path.unlink()
    pages = [path for path in root.rglob("*.html") if LINK.search(path.read_text(encoding="utf-8"))]
    if not pages:
        return
    site = Site(root)
    for path in pages:
        site.lighten(path)
    write_icons(static)
    for path in [*static.rglob("*.css"), static / "scripts/fontawesome.js"]:
        path.unlink()
    shutil.rmtree(static / "vendor")


def watch(app: Sphinx, config: Config) -> None:
    """Write all pages again when one of the files changes that go into each of them."""
    files = [Path(__file__), LOADER, HEIGHTS_FILE, *sorted(STATIC.glob("*.css"))]
    config.light_source = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; it comes after all that write pages, and before the archive is packed."""
    app.add_config_value("light_source", "", "html")
    app.connect("config-inited", watch)
    app.connect("build-finished", lighten_all, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
