"""Disaggregated energy data from the Voltaware smart-meter API."""

__version__ = "0.1.0"
