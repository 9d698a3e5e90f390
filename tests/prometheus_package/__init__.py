"""Tests of kubectl_vmetrics.prometheus; tests/prometheus.py runs the real one."""
