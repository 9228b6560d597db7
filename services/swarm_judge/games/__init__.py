"""The prediction market's games: made, run on chain step by step, and told to players."""
