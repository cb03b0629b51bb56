"""One look for all figures: SVG text that takes its colours from the page around it.

Matplotlib draws with stand-in colours, which are replaced by CSS variables, so that one figure
serves light and dark pages. Text stays text.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins: colours that nothing else uses, and the variables of the page they become.
INK = "#1f2a36"
MUTED = "#5f6b79"
LINE = "#d6dbe2"
EMPTY = "#eef0f3"
ACCENT = "#1c6e8f"
_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", EMPTY: "--empty", ACCENT: "--accent"}

COLOURS = "viridis"
_DARKEST = 0.12  # of the colour map: what is darker could not be told from a dark page

# Restrained hues in families: duplicates grey, what never was a program violet, what failed when
# it was executed warm, what the machinery spoiled blue.
STATUS_COLOURS = {
    "ok": "#3d9a83",
    "duplicate": "#aab2bd",
    "no_change": "#8b95a2",
    "novelty_rejected": "#c4cad2",
    "empty_output": "#b7a6d6",
    "syntax_error": "#8d74bd",
    "patch_failed": "#6d549e",
    "runtime_error": "#d9774b",
    "timeout": "#e3a857",
    "memory": "#c9843a",
    "output_limit": "#ecc98a",
    "violation": "#b8433f",
    "bad_result": "#cf8f82",
    "judge_error": "#7a2f45",
    "model_error": "#4f79a8",
    "poison": "#2f4a73",
    "lost": "#86a7cc",
}

_PX_PER_PT = 1.36  # 10 pt are 13.6 px, a little smaller than the page's text

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a "$" in somebody's axis name is a dollar
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.7,
}


class Sheet:
    """A figure with its axes side by side: `with Sheet(...) as sheet`, then `sheet.svg(...)`.

    Args:
        panels: axes, in rows of `columns`.
        panel_size: width and height of one panel in inches.
    """

    def __init__(self, panels: int, columns: int, panel_size: tuple[float, float]) -> None:
        import matplotlib

        self._panels = panels
        self._shape = (-(-panels // columns), min(panels, columns))
        self._panel_size = panel_size
        settings: dict[Any, Any] = {**_SETTINGS, "svg.hashsalt": "elm"}
        self._settings = matplotlib.rc_context(settings)

    def __enter__(self) -> Sheet:
        # The object interface: no figure that pyplot would keep, no back end to choose.
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        self._settings.__enter__()
        (rows, columns), (width, height) = self._shape, self._panel_size
        self.figure: Figure = Figure(figsize=(width * columns, height * rows))
        self.figure.set_layout_engine("constrained", hspace=0.08 if rows > 1 else 0.0)
        FigureCanvasSVG(self.figure)
        self.axes: list[Axes] = list(self.figure.subplots(rows, columns, squeeze=False).flat)
        for spare in self.axes[self._panels :]:
            spare.remove()
        del self.axes[self._panels :]
        return self

    def __exit__(self, *error: Any) -> None:
        self._settings.__exit__(*error)

    def svg(self, label: str) -> str:
        """The figure as an `<svg>` element. `label` is what a screen reader says of it."""
        text = io.StringIO()
        self.figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        return _themed(text.getvalue(), label)


def colour_map() -> Any:
    """The colours of fitness, from low to high."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    whole = matplotlib.colormaps[COLOURS]
    steps = 256
    return ListedColormap(
        [whole(_DARKEST + (1 - _DARKEST) * i / (steps - 1)) for i in range(steps)], name="fitness"
    )


def _themed(svg: str, label: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Names that matplotlib gives to groups would collide between figures; nothing refers to them.
    svg = re.sub(r'\sid="[A-Za-z0-9.]+_\d+"', "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"(?:'[^']*'|[\w -]+)(?:, (?:'[^']*'|[\w -]+))*, sans-serif", "var(--sans)", svg)
    # It shrinks with the page, and never grows: text has one size in all figures.
    svg = re.sub(
        r'<svg ([^>]*?)width="([\d.]+)pt" height="[\d.]+pt"',
        lambda found: f'<svg {found[1]}style="max-width: {float(found[2]) * _PX_PER_PT:.0f}px"',
        svg,
        count=1,
    )
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
