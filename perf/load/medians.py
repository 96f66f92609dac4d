"""Figures from the rows of a run: a subject's median over its turns, ratios, and how they are printed."""

import statistics


def median(rows, subject, server, field):
    """The median over the turns; None where no turn has the figure."""
    values = [row[field] for row in rows
              if row["subject"] == subject and row["server"] == server and row.get(field) is not None]
    return statistics.median(values) if values else None


def subjects_of(rows):
    return list(dict.fromkeys(row["subject"] for row in rows))


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def ratio(a, b):
    return None if a is None or b in (None, 0) else a / b
