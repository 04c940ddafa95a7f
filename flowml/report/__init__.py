"""Reports: one self-contained HTML file about a fit."""
