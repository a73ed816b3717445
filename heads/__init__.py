"""Stage 2: frames in, heads, leaderboards and reports out."""
