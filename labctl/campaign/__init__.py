"""Campaigns: one protocol on many cells, with what is varied between them, and what came of it."""
