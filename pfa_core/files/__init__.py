"""Files from outside: opened, decoded and taken apart, with every fault told by its place."""
