"""Reports of an organization: what they hold, and the pages made of them."""
