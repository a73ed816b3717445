"""The cache on disk: contents, keys, plans and shards; the only module that knows its files."""
