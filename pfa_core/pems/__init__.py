"""The far side: what PEMS says and how it says it."""
