"""The built-in data: an own generator of texts and their representations, in five domains."""
