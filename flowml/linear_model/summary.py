"""The summary of a linear fit: statistics that print as a table."""

from dataclasses import dataclass
from html import escape

import pandas as pd

COLUMNS = ("coef", "std_err", "statistic", "p_value", "ci_lower", "ci_upper")


@dataclass(frozen=True, repr=False, eq=False)
class LinearSummary:
    """Coefficients with their standard errors, and measures of fit.

    Parameters
    ----------
    model : str
        The estimator's name.
    target : str
        The target's name.
    coefficients : DataFrame of shape (n_coefficients, 6)
        One row for each coefficient, ``intercept`` first; columns ``coef``, ``std_err``,
        ``statistic`` (t), ``p_value``, ``ci_lower`` and ``ci_upper`` (95 %).
    measures : dict of str to float
        What the attributes below give.
    remarks : tuple of str
        What to keep in mind about them; printed below the table.
    """

    model: str
    target: str
    coefficients: pd.DataFrame
    measures: dict[str, float]
    remarks: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> float:
        """Give the measures as attributes."""
        measures = self.__dict__.get("measures", {})
        if name in measures:
            return measures[name]
        raise AttributeError(f"a linear summary has no {name!r}; it has {', '.join(measures)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.measures]

    def __repr__(self) -> str:
        values = [(name.replace("_", " "), format_number(v)) for name, v in self.measures.items()]
        width = max(len(name) for name, _ in values)
        lines = [f"{name:<{width}}  {value:>12}" for name, value in values]
        half = (len(lines) + 1) // 2
        lines += [""] * (2 * half - len(lines))
        pairs = [
            f"{left}    {right}".rstrip()
            for left, right in zip(lines[:half], lines[half:], strict=True)
        ]
        table = self.coefficients.to_string(float_format=format_number)
        remarks = ["", *self.remarks] if self.remarks else []
        return "\n".join([f"{self.model} of {self.target}", "", *pairs, "", table, *remarks])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th>{name.replace('_', ' ')}</th><td>{format_number(value)}</td></tr>"
            for name, value in self.measures.items()
        )
        remarks = "".join(f"<p>{escape(remark)}</p>" for remark in self.remarks)
        return (
            f"<p><b>{escape(self.model)}</b> of {escape(self.target)}</p>"
            f"{self.coefficients.to_html(float_format=format_number)}<table>{cells}</table>{remarks}"
        )


def format_number(value: float) -> str:
    """Write a number in six significant digits.

    Examples
    --------
    >>> format_number(1234567.0), format_number(0.25), format_number(20.0)
    ('1.23457e+06', '0.25', '20')
    """
    return f"{value:.6g}"
