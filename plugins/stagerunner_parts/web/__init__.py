"""Stages that ask a service over HTTP about each record."""
