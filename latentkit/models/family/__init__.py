"""Looped models beside Huginn: one file each, and the parts that they share."""
