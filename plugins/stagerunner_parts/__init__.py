"""The built-in parts, offered through the same hooks as anybody's."""
