"""Text and numbers as they fit in a width: foreign text literally, quantities with their age, spans and instants."""

from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from labctl.literal import literal

UNKNOWN = "—"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return text in exactly so many columns; what is too long ends with an ellipsis."""
    text = literal(text)
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…" if width else ""
    return " " * (width - size) + text if right else text + " " * (width - size)


def wrapped(text: str, width: int) -> list[str]:
    """Break a sentence into lines of at most so many columns, at spaces where there are any."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in literal(paragraph).split(" "):
            joined = f"{line} {word}" if line else word
            if cell_len(joined) <= width:
                line = joined
                continue
            if line:
                lines.append(line)
            while cell_len(word) > width:
                head = set_cell_size(word, width).rstrip()
                lines.append(head)
                word = word[len(head) :]
            line = word
        lines.append(line)
    return lines


def span(seconds: float) -> str:
    """Write a span of time in at most six columns: 45s, 12m30s, 3h05m, 18d04h, 204d."""
    whole = max(0, round(seconds))
    if whole >= 100 * 86400:
        return f"{min(whole // 86400, 99999)}d"
    for big, small, size, unit in ((86400, 3600, "d", "h"), (3600, 60, "h", "m"), (60, 1, "m", "s")):
        if whole >= big:
            return f"{whole // big}{size}{whole % big // small:02d}{unit}"
    return f"{whole}s"


def age(seconds: float) -> str:
    """Write an age in at most four columns: 12s, 4m, 3h, 18d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{min(int(seconds // size), 999)}{unit}"
    return f"{int(seconds)}s"


def number(value: float, decimals: int, width: int, *, sign: bool = False) -> str:
    """Write a number with so many decimals, fewer where the width asks for it; what never fits is a row of #."""
    plus = "+" if sign else ""
    for digits in range(decimals, -1, -1):
        text = f"{value if round(value, digits) else 0.0:{plus}.{digits}f}"  # never -0.00
        if len(text) <= width:
            return text
    text = f"{value:.0e}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    return text if len(text) <= width else "#" * width


def aged(value: float, decimals: int, width: int, old: float, *, sign: bool = False) -> str:
    """Write a value that is too old with its age; the age alone, in brackets, where both do not fit."""
    plus, tail = "+" if sign else "", age(old)
    for digits in range(decimals, 0, -1):
        text = f"{value:{plus}.{digits}f} {tail}"
        if len(text) <= width:
            return text
    return f"({tail})"


def clock_time(unix: float) -> str:
    """Write the time of day of the place where the screen stands: 14:32:07."""
    return datetime.fromtimestamp(unix, UTC).astimezone().strftime("%H:%M:%S")
