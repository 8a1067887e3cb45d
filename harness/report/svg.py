"""One look for every figure. Goes in: a drawing function. Comes out: SVG text, twice: for a page and for a file.

Colours are tokens: on the page they become CSS variables, so a figure follows light and dark; in a file they stay the
light theme's. Text stays text. Matplotlib's own style sheet, ids and metadata are removed or made unique: several
figures share one HTML page. Labels come from data sets and may be hostile: control characters go, mathtext is off.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# The light theme's values, nudged where two tokens share one, so that each can be found again in the SVG.
TOKENS = {
    "ink": "#1d2327",
    "muted": "#5d6870",
    "rule": "#e3e0d9",
    "soft": "#f2f0eb",
    "card": "#ffffff",
    "accent": "#17587f",
    "alert": "#9d1c1c",
    "right": "#1f6f9f",
    "wrong": "#e09a36",
    "unparsed": "#b0578a",
    "truncated": "#848d94",
    "unscored": "#c9ced2",
    "lora": "#1f6f9e",
    "full": "#c2553c",
    "base": "#848d95",
    "other": "#6d8a3c",
}
WIDTH = 5.4  # inches: its 9 pt text is readable on a phone, where a figure is as wide as the screen
MARKERS = {"base": "s", "lora": "o", "full": "D", "other": "^"}
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufffe\uffff]"
)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure: `svg` for the page (CSS variables), `file_svg` for a file of its own."""

    key: str
    caption: str
    svg: str
    file_svg: str


def picture(key: str, caption: str, draw: Callable[[Canvas], None], size: tuple[float, float]) -> Picture:
    """The figure that `draw` draws on an empty canvas of `size` inches."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(cast(Any, _settings(key))), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Glyph.*")  # the reader's font draws it, not matplotlib's
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas)
        out = StringIO()
        canvas.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    file_svg = _cleaned(out.getvalue(), key, caption)
    return Picture(key=key, caption=caption, svg=_themed(file_svg), file_svg=file_svg)


def label(text: Any, most: int = 34) -> str:
    """`text` fit for a figure: no control or bidirectional characters, at most `most` letters."""
    clean = _INVISIBLE.sub("\ufffd", str(text))
    return clean if len(clean) <= most else clean[: most - 1] + "\u2026"


def quiet(axes: Axes, grid: Literal["x", "y"] = "y") -> None:
    """Only the lines that carry meaning."""
    for side in ("top", "right", "left" if grid == "y" else "bottom"):
        axes.spines[side].set_visible(False)
    axes.grid(axis=grid, color=TOKENS["rule"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def _settings(key: str) -> dict[str, Any]:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": key,
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "text.color": TOKENS["ink"],
        "axes.labelcolor": TOKENS["muted"],
        "axes.edgecolor": TOKENS["rule"],
        "axes.titlecolor": TOKENS["ink"],
        "xtick.color": TOKENS["muted"],
        "ytick.color": TOKENS["muted"],
        "xtick.labelcolor": TOKENS["muted"],
        "ytick.labelcolor": TOKENS["ink"],
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "axes.unicode_minus": True,
    }


def _cleaned(text: str, key: str, caption: str) -> str:
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    body = re.sub(r'<style type="text/css">.*?</style>', "", body, flags=re.S)
    body = re.sub(r'\bid="', f'id="{key}-', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\1{key}-", body)
    body = re.sub(r"font: ((?:[\w]+ )*)([\d.]+)px [^;\"]*", _font, body)
    name = caption.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    opening = '<svg style="stroke-linejoin:round;stroke-linecap:butt;font-family:system-ui,sans-serif" role="img" '
    return body.replace("<svg ", f'{opening}aria-label="{name}" ', 1)


def _font(found: re.Match[str]) -> str:
    weight = next((word for word in found[1].split() if word.isdigit() or word == "bold"), "")
    return f"font-size: {found[2]}px" + (f"; font-weight: {weight}" if weight else "")


def _themed(svg: str) -> str:
    names = {value: name for name, value in TOKENS.items()}
    found = re.compile("|".join(map(re.escape, names)))
    return found.sub(lambda match: f"var(--{names[match[0]]})", svg)
