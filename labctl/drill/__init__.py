"""Random laboratories in virtual time, held against what labctl promises; what fails is shrunk to a script."""
