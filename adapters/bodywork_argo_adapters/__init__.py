"""The built-in backends. They are found through the same entry points as anybody's."""
