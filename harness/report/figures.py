"""A figure a finding. Goes in: findings with the rows they rest on. Comes out: finding key -> `Picture`.

A figure draws its finding's `rows` and nothing else, so figure and sentence cannot disagree. Colours are told apart by
the colour-blind, and no figure needs colour alone: methods have markers, reasons have names, failures have words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.core import OUTCOMES
from harness.report.answer import Finding, display, rate
from harness.report.data import METHOD_WORDS, ReportData
from harness.report.plots_cost import cost_figure, curves_figure
from harness.report.svg import MARKERS, TOKENS, WIDTH, Picture, label, picture, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

Rows = Sequence[Mapping[str, Any]]
LETTERS_ACROSS = 52  # of the small print, over the whole width of the stacked bars
SHORTEST_LABEL = 7  # letters of a cut reason that can still be told
STATUS_TOKENS = {"pass": "right", "warn": "wrong", "fail": "alert"}


def figures(data: ReportData, findings: Sequence[Finding]) -> dict[str, Picture]:
    """Every figure this sweep has: one for each finding with rows, then the learning curves."""
    made = {finding.key: DRAWN[finding.key](finding) for finding in findings if finding.rows and finding.key in DRAWN}
    curves = curves_figure(data)
    return {**made, curves.key: curves} if curves is not None else made


def change_figure(finding: Finding) -> Picture:
    """Stacked bars: each run's items by outcome, an outcome's reasons as shades of it."""
    names = list(dict.fromkeys(row["label"] for row in finding.rows))

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for at, name in enumerate(names):
            _stack(axes, at, [row for row in finding.rows if row["label"] == name])
        axes.set_yticks(range(len(names)), [label(name) for name in names])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 % of items"])
        for at, word in enumerate(OUTCOMES[:4]):
            axes.plot([], [], "s", color=TOKENS[word], label=word, zorder=at)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, handletextpad=0.1, columnspacing=1.2)
        quiet(axes, "x")

    return picture(finding.key, "Items by outcome and reason", draw, (WIDTH, 1.1 + 0.52 * len(names)))


def _stack(axes: Axes, at: int, rows: Rows) -> None:
    left = 0.0
    for word in OUTCOMES:
        mine = sorted((row for row in rows if row["outcome"] == word), key=lambda row: -row["share"])
        for number, row in enumerate(mine):
            opacity = max(0.35, 1.0 - 0.2 * number)
            axes.barh(at, row["share"], left=left, height=0.62, color=TOKENS[word], alpha=opacity, linewidth=0)
            axes.plot([left + row["share"]] * 2, [at - 0.31, at + 0.31], color=TOKENS["card"], linewidth=0.8)
            text = f"{100 * row['share']:.0f} %" if word == "right" else row["why"].replace("_", " ")
            room = int(row["share"] * LETTERS_ACROSS)
            if room >= min(len(text), SHORTEST_LABEL):  # a label that does not fit would lie over its neighbours
                text = label(text, room)
                colour = "#fefefe" if opacity > 0.55 and word != "wrong" else "#101316"
                axes.text(left + row["share"] / 2, at, text, ha="center", va="center", color=colour, fontsize=7.8)
            left += row["share"]


def gap_figure(finding: Finding) -> Picture:
    """LoRA's relative gap to full with its interval, over the zones of 1 and 3 percent."""

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for margin, opacity in ((0.03, 0.5), (0.01, 1.0)):
            axes.axvspan(-margin, margin, color=TOKENS["rule"], alpha=opacity, linewidth=0)
        axes.axvline(0, color=TOKENS["muted"], linewidth=0.9)
        _intervals(axes, finding.rows, "gap", lambda row: TOKENS["lora"])
        reach = max([0.045, *(abs(row[key]) * 1.12 for row in finding.rows for key in ("low", "high"))])
        axes.set_xlim(-reach, reach)
        axes.locator_params(axis="x", nbins=6)
        axes.xaxis.set_major_formatter(lambda value, place: display(value, "relative").replace(".0 %", " %"))
        axes.set_xlabel(
            "LoRA below full  \u2190  relative gap  \u2192  LoRA above full\nshaded: within 1 % and within 3 %"
        )
        quiet(axes, "x")

    return picture(
        finding.key, "Relative gap of LoRA to full fine-tuning", draw, (WIDTH, 1.5 + 0.36 * len(finding.rows))
    )


def learning_rate_figure(finding: Finding) -> Picture:
    """Heat map, rank (and full) by learning rate; a failed run says so, an empty cell was not planned."""
    rates = sorted({row["learning_rate"] for row in finding.rows})
    lines = sorted({(row["method"] != "lora", row["rank"] or 0) for row in finding.rows})

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for row in finding.rows:
            at = (rates.index(row["learning_rate"]), lines.index((row["method"] != "lora", row["rank"] or 0)))
            _cell(axes, at, row)
        axes.set_xlim(-0.5, len(rates) - 0.5)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_xticks(range(len(rates)), [rate(value) for value in rates])
        axes.set_yticks(range(len(lines)), ["full" if full else f"LoRA r{rank:g}" for full, rank in lines])
        axes.set_xlabel("learning rate")
        quiet(axes)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    return picture(finding.key, "Validation score by rank and learning rate", draw, (WIDTH, 1.0 + 0.5 * len(lines)))


def _cell(axes: Axes, at: tuple[int, int], row: Mapping[str, Any]) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex
    from matplotlib.patches import Rectangle

    x, y = at
    box = (x - 0.47, y - 0.45)
    if row["score"] is None:
        axes.add_patch(
            Rectangle(box, 0.94, 0.9, facecolor=TOKENS["soft"], edgecolor=TOKENS["muted"], hatch="////", lw=0)
        )
        colour = TOKENS["alert"] if row["status"] == "failed" else TOKENS["muted"]
        axes.text(x, y, row["status"], ha="center", va="center", color=colour, fontsize=8.5, weight="bold")
        return
    shade = colormaps["cividis"](0.05 + 0.9 * row["score"])
    axes.add_patch(Rectangle(box, 0.94, 0.9, facecolor=to_hex(shade), edgecolor="none"))
    ink = "#101316" if sum(shade[:3]) > 1.35 else "#fefefe"
    text = f"{100 * row['score']:.1f}" + (" \u2605" if row["best"] else "")
    axes.text(x, y, text, ha="center", va="center", color=ink, fontsize=9, weight="bold" if row["best"] else "normal")


def rank_figure(finding: Finding) -> Picture:
    """Score by rank, each rank at its best learning rate, with base and full as lines."""

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        _curve(
            axes,
            [row for row in finding.rows if row["method"] == "lora"],
            "rank",
            "lora",
            "LoRA, best rate of each rank",
        )
        for row in finding.rows:
            if row["method"] != "lora":
                axes.axhline(row["score"], color=TOKENS[row["method"]], linewidth=1.2, linestyle=(0, (4, 3)))
                axes.text(1.0, row["score"], f" {METHOD_WORDS[row['method']]}", color=TOKENS["ink"], va="center",
                          transform=axes.get_yaxis_transform(), fontsize=8.5)  # fmt: skip
        ranks = sorted({row["rank"] for row in finding.rows if row["rank"]})
        axes.set_xscale("log", base=2)
        axes.set_xticks(ranks, [f"{rank:g}" for rank in ranks])
        axes.minorticks_off()
        axes.set_xlabel("rank")
        _score_axis(axes)

    return picture(finding.key, "Validation score by rank", draw, (WIDTH, 3.0))


def style_figure(finding: Finding) -> Picture:
    """Score by learning rate, a line a prompt style."""
    styles = list(dict.fromkeys(row["style"] for row in finding.rows))

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for at, style in enumerate(styles):
            rows = [row for row in finding.rows if row["style"] == style]
            _curve(axes, rows, "learning_rate", ("lora", "full", "other", "base")[at % 4], label(style, 20))
        axes.set_xscale("log")
        rates = sorted({row["learning_rate"] for row in finding.rows})
        axes.set_xticks(rates, [rate(value) for value in rates])
        axes.minorticks_off()
        axes.set_xlabel("learning rate")
        axes.legend(loc="best")
        _score_axis(axes)

    return picture(finding.key, "Validation score by prompt style and learning rate", draw, (WIDTH, 3.0))


def slices_figure(finding: Finding) -> Picture:
    """Paired difference by tag; a filled mark is one that holds after adjustment."""

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.axvline(0, color=TOKENS["muted"], linewidth=0.9)
        _intervals(axes, finding.rows, "difference", lambda row: TOKENS["accent"])
        axes.xaxis.set_major_formatter(lambda value, place: display(value, "points").removesuffix(" points"))
        first = finding.rows[0]
        axes.set_xlabel(f"points; left: {label(first['b'])} ahead\nright: {label(first['a'])} ahead")
        quiet(axes, "x")

    return picture(finding.key, "Difference by tag, paired", draw, (WIDTH, 1.1 + 0.3 * len(finding.rows)))


def context_figure(finding: Finding) -> Picture:
    """This sweep's best beside a reference model and earlier sweeps."""

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        colours = {"this": TOKENS["lora"], "reference": TOKENS["full"], "earlier": TOKENS["base"]}
        _intervals(axes, finding.rows, "score", lambda row: colours[row["kind"]])
        axes.xaxis.set_major_formatter(lambda value, place: f"{100 * value:.0f} %")
        quiet(axes, "x")

    return picture(finding.key, "Score beside other models and sweeps", draw, (WIDTH, 0.9 + 0.34 * len(finding.rows)))


def trust_figure(finding: Finding) -> Picture:
    """Every check of the certificate with its status in a word and a colour."""

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for at, row in enumerate(finding.rows):
            axes.plot(0, at, "o", color=TOKENS[STATUS_TOKENS.get(row["status"], "muted")], markersize=7)
            axes.text(0.03, at, row["status"], va="center", fontsize=8.5, weight="bold")
            axes.text(0.12, at, label(row["part"], 12), va="center", fontsize=8.5, color=TOKENS["muted"])
            axes.text(0.27, at, label(row["name"], 62), va="center", fontsize=8.5)
        axes.set_xlim(-0.03, 1)
        axes.set_ylim(len(finding.rows) - 0.5, -0.5)
        axes.set_axis_off()

    return picture(finding.key, "The certificate, check by check", draw, (WIDTH, 0.3 + 0.25 * len(finding.rows)))


def train_size_figure(finding: Finding) -> Picture:
    """Score by the number of training examples, a line a curation."""

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for at, name in enumerate(dict.fromkeys(row["series"] for row in finding.rows)):
            rows = [row for row in finding.rows if row["series"] == name]
            _curve(axes, rows, "train_size", ("lora", "full", "other", "base")[at % 4], label(name))
        every = sorted({row["train_size"] for row in finding.rows})
        # "all" of clean data lies just below "all" of raw data: two labels there would cover each other
        sizes = [size for size in every if not any(size < other < 1.15 * size for other in every)]
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("training examples")
        axes.legend(loc="best")
        _score_axis(axes)

    return picture(finding.key, "Validation score by training examples", draw, (WIDTH, 3.0))


def _curve(axes: Axes, rows: Rows, x: str, token: str, name: str) -> None:
    rows = sorted((row for row in rows if row["score"] is not None), key=lambda row: float(row[x]))
    xs, ys = [row[x] for row in rows], [row["score"] for row in rows]
    axes.fill_between(
        xs, [row["low"] for row in rows], [row["high"] for row in rows], color=TOKENS[token], alpha=0.14, lw=0
    )
    axes.plot(xs, ys, color=TOKENS[token], marker=MARKERS[token], markersize=5, linewidth=1.6, label=name)


def _score_axis(axes: Axes) -> None:
    axes.set_ylim(max(0.0, math.floor(10 * axes.get_ylim()[0]) / 10), min(1.0, math.ceil(10 * axes.get_ylim()[1]) / 10))
    axes.yaxis.set_major_formatter(lambda value, place: f"{100 * value:.0f} %")
    quiet(axes)


def _intervals(axes: Axes, rows: Rows, x: str, colour: Callable[[Mapping[str, Any]], str]) -> None:
    """One line a row: its interval, and a mark that is filled unless the row says it is not `marked`."""
    for at, row in enumerate(rows):
        shade = colour(row)
        axes.plot([row["low"], row["high"]], [at, at], color=shade, linewidth=2.2, solid_capstyle="round", alpha=0.55)
        face = shade if row.get("marked", True) else TOKENS["card"]
        axes.plot(row[x], at, "o", color=shade, markerfacecolor=face, markersize=6.5, markeredgewidth=1.5)
    axes.set_yticks(range(len(rows)), [label(row["name"]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)


DRAWN: dict[str, Callable[[Finding], Picture]] = {
    "change": change_figure,
    "lora-or-full": gap_figure,
    "learning-rate": learning_rate_figure,
    "rank": rank_figure,
    "prompt-style": style_figure,
    "cost": cost_figure,
    "slices": slices_figure,
    "context": context_figure,
    "trust": trust_figure,
    "train-size": train_size_figure,
}
