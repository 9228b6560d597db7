"""The market's player: reads clues, scores choices with the model, bets, and claims what it won."""
