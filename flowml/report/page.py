"""A page of sections: one HTML file that needs nothing but itself."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

LONG_TABLE = 24
"""Rows from which on a table is folded away."""
MOST_ROWS = 1_000


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it.

    Parameters
    ----------
    title : str
    parts : sequence of Markup
        Made by the functions of this module.
    """

    title: str
    parts: Sequence[Markup]


@dataclass(frozen=True)
class Page:
    """A whole report.

    Parameters
    ----------
    title, lead : str
    headline : Markup
        The few numbers that matter most.
    sections : sequence of Section
    footer : str
    """

    title: str
    lead: str
    headline: Markup
    sections: Sequence[Section]
    footer: str

    def render(self) -> str:
        """Return the page as HTML, style included."""
        here = files("flowml.report")
        template = Environment(autoescape=True, trim_blocks=True).from_string(
            (here / "page.html").read_text(encoding="utf-8")
        )
        style = Markup((here / "style.css").read_text(encoding="utf-8"))
        return template.render(page=self, style=style)


def key_figures(figures: Mapping[str, str]) -> Markup:
    """Show a few numbers large.

    Examples
    --------
    >>> print(key_figures({"Rows": "1,000"}))
    <dl class="figures"><div><dt>Rows</dt><dd>1,000</dd></div></dl>
    """
    return _numbers("figures", figures)


def text(words: str) -> Markup:
    """Show a paragraph."""
    return Markup("<p>{}</p>").format(words)


def note(words: str) -> Markup:
    """Show a paragraph in small print."""
    return Markup('<p class="note">{}</p>').format(words)


def code(source: str) -> Markup:
    """Show text as it is."""
    return Markup("<pre>{}</pre>").format(source)


def facts(pairs: Mapping[str, str]) -> Markup:
    """Show names and texts in two columns."""
    rows = (
        Markup('<tr><th>{}</th><td class="text">{}</td></tr>').format(name, value)
        for name, value in pairs.items()
    )
    return _wrap('<div class="scroll"><table><tbody>', rows, "</tbody></table></div>")


def measures(pairs: Mapping[str, str]) -> Markup:
    """Show many short numbers in a grid."""
    return _numbers("measures", pairs)


def table(frame: pd.DataFrame) -> Markup:
    """Show a frame, its index as row headings; a long one folded away."""
    shown = frame.iloc[:MOST_ROWS]
    head = Markup("").join(
        Markup("<th>{}</th>").format(name) for name in [frame.index.name or "", *frame.columns]
    )
    rows = (
        Markup("<tr><th>{}</th>{}</tr>").format(
            label, Markup("").join(Markup("<td>{}</td>").format(number(v)) for v in values)
        )
        for label, values in zip(shown.index, shown.to_numpy(dtype=object), strict=True)
    )
    start = Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>').format(head)
    whole = _wrap(start, rows, "</tbody></table></div>")
    if len(frame) < LONG_TABLE:
        return whole
    title = f"{len(frame):,} rows" + ("" if len(shown) == len(frame) else f", {MOST_ROWS:,} shown")
    return Markup("<details><summary>{}</summary>{}</details>").format(title, whole)


def figure(svg: str, caption: str = "") -> Markup:
    """Show a drawing."""
    below = Markup("<figcaption>{}</figcaption>").format(caption) if caption else ""
    return Markup("<figure>{}{}</figure>").format(Markup(svg), below)


def picture(image: bytes, kind: str, caption: str) -> Markup:
    """Show an image, carried inside the page."""
    data = base64.b64encode(image).decode()
    return Markup(
        '<figure><img alt="{}" src="data:image/{};base64,{}"><figcaption>{}</figcaption></figure>'
    ).format(caption, kind, data, caption)


def side_by_side(parts: Iterable[Markup]) -> Markup:
    """Show things beside each other where there is room."""
    return _wrap('<div class="pair">', parts, "</div>")


def palette(colours: Iterable[tuple[str, float]]) -> Markup:
    """Show colours as a strip, each as wide as its share."""
    cells = (
        Markup('<div title="{}" style="background:{};flex:{:.5f}"></div>').format(name, name, share)
        for name, share in colours
    )
    return _wrap('<div class="palette">', cells, "</div>")


def number(value: object) -> str:
    """Write a table's value: six significant digits, thousands apart.

    Examples
    --------
    >>> number(1234567), number(0.000123456789), number(-3785020.44), number(float("nan"))
    ('1,234,567', '0.000123457', '-3,785,020', '—')
    """
    if isinstance(value, float):
        if math.isnan(value):
            return "—"
        if 1e3 <= abs(value) < 1e12:
            return f"{value:,.{max(0, 6 - len(str(int(abs(value)))))}f}"
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """Write a time.

    Examples
    --------
    >>> duration(0.0213), duration(3.21), duration(754)
    ('21 ms', '3.2 s', '12 min 34 s')
    """
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _numbers(style: str, pairs: Mapping[str, str]) -> Markup:
    cells = (
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value)
        for name, value in pairs.items()
    )
    return _wrap(f'<dl class="{style}">', cells, "</dl>")


def _wrap(start: str, parts: Iterable[Markup], end: str) -> Markup:
    return Markup(start) + Markup("").join(parts) + Markup(end)
