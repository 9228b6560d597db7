"""Peer names that people can remember, from a peer id.

The scheme is upstream's (spec/README.md §1): MD5 of the base58 peer id; byte 2 picks the first adjective,
byte 1 the second, byte 0 the animal. The word lists are ours.
"""

from __future__ import annotations

import hashlib

_ADJECTIVES = (
    "amber bold brave brisk calm candid clever cosmic crisp curious daring deft eager early earnest fair fleet fond "
    "frank fresh gentle glad golden grand happy hardy hidden honest humble jolly keen kind lively loyal lucid lucky "
    "mellow merry mighty modest nimble noble patient placid plucky polite prime proud quick quiet rapid ready rustic "
    "serene sharp silent silver simple sleek smart snug solid spry steady sturdy sunny swift tidy tough tranquil "
    "upbeat vivid warm wary wild wise witty zesty"
)
_ANIMALS = (
    "albatross alpaca antelope badger bat bear beaver bison bobcat buffalo camel caribou cat cheetah chinchilla cobra "
    "condor cougar coyote crab crane cricket crow deer dingo dolphin donkey dove dragonfly duck eagle eel egret elk "
    "falcon ferret finch firefly flamingo fox frog gazelle gecko gibbon giraffe goat goose gopher grouse gull hamster "
    "hare hawk hedgehog heron hippo horse hound hummingbird hyena ibex ibis iguana impala jackal jaguar jay kangaroo "
    "kingfisher kiwi koala lark lemur leopard lion lizard llama lobster lynx macaw magpie mallard manatee mantis "
    "marten meerkat mole mongoose moose moth mouse narwhal newt ocelot octopus opossum orca oriole osprey ostrich "
    "otter owl ox panda panther parrot peacock pelican penguin pheasant pigeon porcupine porpoise puffin puma quail "
    "rabbit raccoon raven reindeer robin salmon sandpiper seal shark sheep shrew skunk sloth snail sparrow squid "
    "squirrel starling stork swallow swan tapir tern tiger toad toucan trout turtle viper vole wasp weasel whale "
    "wolf wombat wren yak zebra"
)


def peer_name(peer_id: str) -> str:
    """Three words for a base58 peer id, e.g. `brisk silver otter`; not unique, for eyes only."""
    digest = hashlib.md5(peer_id.encode(), usedforsecurity=False).digest()
    adjectives, animals = _ADJECTIVES.split(), _ANIMALS.split()
    first, second = (adjectives[digest[byte] % len(adjectives)] for byte in (2, 1))
    return f"{first} {second} {animals[digest[0] % len(animals)]}"
