"""The DHT daemon: p2pd, the Kademlia node and the exchange of rollout groups, served on `/run/swarm/dht.sock`."""
