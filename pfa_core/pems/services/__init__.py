"""The services of PEMS: grid, REST, user-defined screen."""
