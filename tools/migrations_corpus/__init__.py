"""Runs the migrations of a public project through the tool and through psql, and judges every report by looking at the data itself."""
