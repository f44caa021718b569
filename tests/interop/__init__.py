"""Interop tests: real foreign mail software on one side of the wire, mailwire on the other."""
