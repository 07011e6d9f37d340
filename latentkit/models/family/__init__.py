"""Looped models other than Huginn: one module per family, and modules with shared parts."""
