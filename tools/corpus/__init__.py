"""Checks of introspection, its text and its differences on schemas that others wrote: `tools/schema-corpus`."""
