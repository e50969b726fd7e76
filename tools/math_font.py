"""Make the font of formulas, `python tools/math_font.py FILE`, from the .woff2 of @fontsource/stix-two-math.

It keeps the signs that formulas use. Chromium sets the smallest root too low, and leaves as much room for
each root as the widest one needs: so the smallest is made less high, and all are made equally wide.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

TARGET = Path(__file__).resolve().parent.parent / "book/_static/math.woff2"
SIGNS = (
    "20-7E A0 AC B1 B7 BD D7 F7 391-3A9 3B1-3C9 2016 2026 2032-2033 2061 210E 2190-2193 21A6 2208 2211 220F "
    "2212 2217 221A 221E 2225 222A 2229 2248 2260 2261 2264 2265 22C5 22C6 22EF 2308-230B "
    "1D434-1D467 1D6FC-1D71B"
)
LOWER = 0.7  # the smallest root, against what it was


def scale(font: TTFont, name: str, across: float, up: float) -> None:
    """Make a glyph wider and higher, or less so."""
    glyphs = font.getGlyphSet()
    width, side = font["hmtx"][name]
    pen = TTGlyphPen(None)
    glyphs[name].draw(TransformPen(pen, (across, 0, 0, up, 0, 0)))
    font["glyf"][name] = pen.glyph()
    font["glyf"][name].recalcBounds(font["glyf"])
    font["hmtx"][name] = (round(width * across), round(side * across))


def main(source: str) -> None:
    """Cut the font, mend its roots, store it."""
    options = subset.Options(flavor="woff2", hinting=False, desubroutinize=True, layout_features=["ssty"])
    font = subset.load_font(source, options)
    cut = subset.Subsetter(options)
    cut.populate(unicodes=subset.parse_unicodes(SIGNS))
    cut.subset(font)
    variants = font["MATH"].table.MathVariants
    root = font.getBestCmap()[0x221A]
    place = variants.VertGlyphCoverage.glyphs.index(root)
    construction = variants.VertGlyphConstruction[place]
    records = construction.MathGlyphVariantRecord
    width = font["hmtx"][root][0]
    others = [record.VariantGlyph for record in records[1:]]
    others += [part.glyph for part in construction.GlyphAssembly.PartRecords]
    for name in dict.fromkeys(others):
        scale(font, name, width / font["hmtx"][name][0], 1)
    scale(font, root, 1, LOWER)
    records[0].AdvanceMeasurement = round(records[0].AdvanceMeasurement * LOWER)
    subset.save_font(font, TARGET, options)


if __name__ == "__main__":
    main(*sys.argv[1:])
