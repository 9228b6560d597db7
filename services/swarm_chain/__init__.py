"""The chain side of the swarm: client of the coordinator contract, deployer and round keeper."""
