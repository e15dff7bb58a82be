"""Kiseki: an experiment tracker whose run file is the truth."""
