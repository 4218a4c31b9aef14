"""Dashboards, alerts and runbooks, against a real Prometheus."""
