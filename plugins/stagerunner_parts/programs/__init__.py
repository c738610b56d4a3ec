"""The stage that runs other programs."""
