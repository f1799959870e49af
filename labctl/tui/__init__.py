"""The terminal dashboard, a process of its own: it sees the laboratory through the client alone."""
