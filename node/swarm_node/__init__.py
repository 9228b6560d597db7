"""The training worker of a node: the round, the policy, the rewards and the trainer."""
