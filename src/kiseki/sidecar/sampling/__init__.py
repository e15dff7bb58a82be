"""Measuring machine and training: sampled once for all runs of a sidecar, stored as their system rows.

Each source has a module; `guard` runs them where a hang costs only their own metrics; `sampler` says when to
measure, and for whom. What the metrics mean is in `kiseki.records.system_metrics`.
"""
