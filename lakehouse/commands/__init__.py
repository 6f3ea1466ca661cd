"""The commands of `lakehouse`: what they take and print; the work is done by the other folders."""
