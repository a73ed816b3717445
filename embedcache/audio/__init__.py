"""Audio: decoding, resampling, conditioning."""
