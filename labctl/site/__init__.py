"""A site: one broker with TLS and users for several machines and people, from files that labctl writes."""
