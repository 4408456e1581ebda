"""Frames as tables of Markdown, as the docs have them."""

import pandas as pd


def markdown(frame: pd.DataFrame, digits: int = 4) -> str:
    """A frame of numbers and texts, its index first; what is missing stays empty."""
    head = f"| {frame.index.name or ''} | {' | '.join(map(str, frame.columns))} |"
    lines = [head, "| --- |" + " ---: |" * frame.shape[1]]
    for name, row in frame.iterrows():
        cells = [_cell(value, digits) for value in row]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value, digits: int) -> str:
    if isinstance(value, str):
        return value
    return "" if pd.isna(value) else f"{value:.{digits}g}"
