"""The two figures with many panels: what a run costs, and how its loss fell. Goes in: rows or logs. Comes out: SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.report.answer import Finding, Unit, display
from harness.report.data import ReportData
from harness.report.svg import MARKERS, TOKENS, WIDTH, Picture, label, picture, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

PANELS: tuple[tuple[str, str, Unit, bool], ...] = (
    ("trainable_parameters", "trainable parameters", "count", False),
    ("checkpoint_bytes", "checkpoint on disk", "bytes", False),
    ("peak_memory_bytes", "peak memory in training", "bytes", False),
    ("train_seconds", "training time", "seconds", False),
    ("sample_tokens_per_second", "serving speed, tokens/s", "count", True),
)  # column, title, unit, whether more is better
CURVES_SHOWN = 8


def cost_figure(finding: Finding) -> Picture:
    """Score against each cost; the line joins the runs that no other run beats on both."""
    panels = [panel for panel in PANELS if any(row[panel[0]] for row in finding.rows)]

    def draw(canvas: Canvas) -> None:
        grid = canvas.subplots((len(panels) + 1) // 2, min(2, len(panels)), sharey=True, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _panel(axes, finding.rows, panel)
        for axes in grid.flat[len(panels) :]:
            _legend(axes)
        if len(panels) % 2 == 0:
            canvas.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)

    return picture(finding.key, "Score against cost", draw, (WIDTH, 0.4 + 2.05 * ((len(panels) + 1) // 2)))


def pareto_front(points: Sequence[tuple[float, float]], *, more_is_better: bool) -> list[int]:
    """The places of the (cost, score) points that no other point beats or equals on both, cheapest first."""
    order = sorted(
        range(len(points)), key=lambda at: (-points[at][0] if more_is_better else points[at][0], -points[at][1])
    )
    front: list[int] = []
    for at in order:
        if not front or points[at][1] > points[front[-1]][1]:
            front.append(at)
    return front


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], panel: tuple[str, str, Unit, bool]) -> None:
    column, title, unit, more = panel
    here = [row for row in rows if row[column]]  # no cost (the base's parameters) has no place on a log axis
    if not here:
        axes.set_axis_off()
        return
    points = [(float(row[column]), float(row["score"])) for row in here]
    front = pareto_front(points, more_is_better=more)
    axes.plot([points[at][0] for at in front], [points[at][1] for at in front], color=TOKENS["muted"], lw=1, zorder=1)
    for method in ("base", "lora", "full", "other"):
        mine = [point for point, row in zip(points, here, strict=True) if row["method"] == method]
        if mine:
            word = {"lora": "LoRA"}.get(method, method)
            axes.scatter([cost for cost, _ in mine],
                [score for _, score in mine], color=TOKENS[method], marker=MARKERS[method], s=26, zorder=2,
                         label=word, edgecolor=TOKENS["card"], linewidth=0.6)  # fmt: skip
    costs = [cost for cost, _ in points]
    if max(costs) / min(costs) > 20:
        from matplotlib.ticker import LogLocator

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if max(costs) / min(costs) < 100 else (1,)))
        axes.minorticks_off()
    else:
        axes.locator_params(axis="x", nbins=3)
    axes.xaxis.set_major_formatter(lambda value, place: display(value, unit))
    axes.set_title(title)
    axes.yaxis.set_major_formatter(lambda value, place: f"{100 * value:.0f} %")
    quiet(axes)
    axes.tick_params(axis="x", labelsize=7.5)


def _legend(axes: Axes) -> None:
    axes.set_axis_off()
    for method, word in (("base", "base"), ("lora", "LoRA"), ("full", "full")):
        axes.plot([], [], MARKERS[method], color=TOKENS[method], label=word)
    axes.plot([], [], color=TOKENS["muted"], lw=1, label="beaten by no run")
    axes.legend(loc="center left")


def curves_figure(data: ReportData) -> Picture | None:
    """Training loss by step: the best runs of each method, and every run that failed in training. None without logs."""
    chosen = _runs_with_curves(data)
    if not chosen:
        return None

    def draw(canvas: Canvas) -> None:
        from matplotlib.ticker import LogLocator, NullLocator

        axes = canvas.subplots()
        for at, (row, log) in enumerate(chosen):
            token = "alert" if row["status"] == "failed" else str(row["method"])
            dash = ("solid", (0, (5, 2)), (0, (2, 2)), (0, (7, 2, 1, 2)))[at % 4]
            smooth = log["loss"].astype(float).ewm(span=max(2, len(log) // 25)).mean()
            axes.plot(log["step"], smooth, color=TOKENS[token], linestyle=dash, lw=1.5, label=label(row["label"], 40))
            if row["status"] == "failed":
                last = log["loss"].last_valid_index()
                axes.plot(log["step"].loc[last], smooth.loc[last], "X", color=TOKENS["alert"], markersize=8)
        axes.set_xlabel("step")
        axes.set_ylabel("loss, nats per answer token")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))  # a loss often stays within one decade
        axes.yaxis.set_minor_locator(NullLocator())
        axes.legend(loc="upper right", ncols=1)
        quiet(axes)

    return picture("learning-curves", "Learning curves, smoothed; a cross marks a failed run", draw, (WIDTH, 3.6))


def _runs_with_curves(data: ReportData) -> list[tuple[Any, pd.DataFrame]]:
    runs = data.runs[[run in data.logs and data.logs[run]["loss"].notna().any() for run in data.runs["run"]]]
    if runs.empty:
        return []
    failed = runs[runs["status"] == "failed"].head(2)
    best = [runs[runs["method"] == method].nlargest(3, "validation_score") for method in ("lora", "full")]
    chosen = pd.concat([*best, failed]).drop_duplicates("run").head(CURVES_SHOWN)
    return [(row, data.logs[row["run"]]) for _, row in chosen.iterrows()]
