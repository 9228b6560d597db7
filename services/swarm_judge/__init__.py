"""The judge: asks peers held-out questions, keeps the leaderboard, and hosts the prediction market's games."""
