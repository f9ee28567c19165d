"""Answers to problem files: every strategy asked as it is made for, every objective, checked and bounded."""
