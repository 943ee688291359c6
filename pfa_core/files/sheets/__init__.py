"""Sheets: workbooks and tables that are edited and come back."""
