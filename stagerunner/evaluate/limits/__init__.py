"""How often and how much a stage may call: its rate, the pauses it asks for, its budget."""
