"""Text of instruments, protocols and people as it is printed: nothing in it moves a cursor or hides what is said."""


def literal(text: str) -> str:
    """Return a text as one line in which every control or invisible character is written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
