"""Performances from and to the objects of other libraries, which are imported when they are asked for."""
