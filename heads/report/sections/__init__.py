"""Sections of a page: records in, what its template shows out. None of them touches a file."""
