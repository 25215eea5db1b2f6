"""What other conventions than ours say, in the words of ours."""
