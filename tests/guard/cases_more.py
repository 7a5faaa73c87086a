"""Attacks of the same classes, found by a second look."""

MORE: dict[str, tuple[str, ...]] = {}
