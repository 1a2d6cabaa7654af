"""The commands of the program, one file each: what a person does in a terminal."""
