"""Stage 1: audio in, frames on disk out."""
