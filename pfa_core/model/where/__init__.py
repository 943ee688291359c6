"""The expression language of `Filters.where`: words, typed tree, parser."""
