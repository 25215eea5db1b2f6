"""What the dashboards, the rules and their documents are made of; ``generate.py`` writes them."""
