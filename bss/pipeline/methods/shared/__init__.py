"""What methods share: their protocol, the estimate they give, their effort."""
