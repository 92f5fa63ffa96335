"""What a cell names, found and checked: components, their options, and plans."""
