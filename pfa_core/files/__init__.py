"""Files of users: opened, decoded and parsed, every fault with its position."""
