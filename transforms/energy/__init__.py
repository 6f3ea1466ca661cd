"""Meter readings, from lines of files to hourly load with features."""
