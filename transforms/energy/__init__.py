"""Meter readings: lines to readings, gaps, hours and features of load, as pure functions."""
