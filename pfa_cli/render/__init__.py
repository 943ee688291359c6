"""From results to text: formats, escapes and the readable reports."""
