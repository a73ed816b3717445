"""Reports: runs in, tables and pages for people out."""
