"""Measures what our work costs beside what it stands on. Figures are ratios of medians, taken in turn within one run."""
