"""A PEMS to practise and test on."""
