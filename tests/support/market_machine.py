"""A model of the prediction market's rules in Python, and a state machine that compares it with the contract on anvil.

Every action is predicted by the model: its exact error, or what it changes. Errors are looked at by `eth_call`; what
should pass is mined and its receipt checked. Each example starts from the same snapshot of the chain.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.market_chain import Chain
from tests.support.market_host import Secrets

from swarm_chain import abi, calls

GRANT = 1_000_000
ONE = 10**18
DAY = 86_400
PLAIN_REVEAL = "revealAnswer(uint256,uint256,uint256)"
# who owns which peer; "nobody" is not registered
OWNERS = {"a1": 0, "a2": 0, "b1": 1, "c1": 2, "c2": 2}
PEERS = [*OWNERS, "nobody"]
ACCOUNTS = [f"0x{number:040x}" for number in (0xA11CE, 0xB0B, 0xCA501)]
BETS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 7, 999, GRANT // 3, GRANT - 1, GRANT, GRANT + 1, 2**128, 2**256 - 1]),
    st.integers(1, GRANT),
    st.integers(1, 20),
    st.integers(1, 1000),
)
SMALL = st.integers(0, 4)


@dataclass
class Game:
    """What the model knows of a game."""

    secrets: Secrets | None
    rounds: int
    choices: int
    round: int = 0
    overdue: bool = False
    revealed: bool = False
    answer: int = 0
    pool: int = 0
    paid: int = 0
    supply: dict[int, int] = field(default_factory=dict)
    held: dict[tuple[str, int], int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    guesses: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    clues: set[int] = field(default_factory=set)

    @property
    def status(self) -> int:
        """As `gameStatus`."""
        if self.revealed:
            return 4 if self.pool and not self.supply.get(self.answer) else 3
        if self.overdue:
            return 4
        return 1 if self.round < self.rounds else 2

    def payout(self, peer: str) -> int:
        """What a claim pays."""
        if self.status == 4:
            return self.spent.get(peer, 0)
        held = self.held.get((peer, self.answer), 0)
        return self.pool * held // self.supply[self.answer] if held else 0


class MarketMachine(RuleBasedStateMachine):
    """`chain` is set by the test before it runs."""

    chain: Chain

    @initialize()
    def begin(self) -> None:
        self.snapshot = self.chain.rpc("evm_snapshot")
        self.chain.look_at_clock()
        self.games: list[Game] = []
        self.paused = False
        self.seed = 0
        for committed in (True, False):  # so that the first actions have something to act on
            self.create(3, 3, committed, 1)

    def teardown(self) -> None:
        try:
            for number, game in enumerate(self.games):
                self._finish(number, game)
        finally:  # also after a failure: the next example must find the same chain
            self.chain.rpc("evm_revert", self.snapshot)

    # what the model says

    def attempt(self, account: str, data: bytes, error: str | None) -> bool:
        """Compare with the contract; whether the action passed."""
        self.chain.actions += 1
        self.chain.outcomes[error or "passed " + data[:4].hex()] += 1
        if error is not None:
            found = self.chain.error(account, data)
            assert found == error, f"{found} instead of {error}"
            return False
        self.chain.send(account, data)
        return True

    def pick(self, index: int) -> int:
        """Mostly a game that exists."""
        return index % len(self.games) if self.games and index < 4 else len(self.games) + index

    def known(self, index: int) -> Game | None:
        return self.games[index] if index < len(self.games) else None

    # the game master

    @rule(
        rounds=st.sampled_from([1, 2, 3, 4, 2, 3, 0]),
        choices=st.sampled_from([2, 3, 4, 5, 3, 2, 1]),
        committed=st.booleans(),
        ours=st.integers(0, 9),
    )
    def create(self, rounds: int, choices: int, committed: bool, ours: int) -> None:
        account = self.chain.master if ours else ACCOUNTS[0]
        secrets = None
        if committed and rounds and choices:
            self.seed += 1
            clues = tuple(f"clue {number}" for number in range(rounds))
            secrets = Secrets(clues, tuple(str(number) for number in range(choices)), self.seed % choices, self.seed)
        root = secrets.root if secrets else bytes(32)
        error = None
        if not ours:
            error = "OwnableUnauthorizedAccount"
        elif self.paused:
            error = "EnforcedPause"
        elif rounds == 0:
            error = "InvalidRoundCount"
        elif choices < 2:
            error = "InvalidChoiceCount"
        if self.attempt(account, calls.create_game(rounds, choices, root), error):
            self.games.append(Game(secrets, rounds, choices))

    @rule(index=SMALL)
    def create_again(self, index: int) -> None:
        index = self.pick(index)
        game = self.known(index)
        if game is not None and game.secrets is not None:
            error = "EnforcedPause" if self.paused else "RootAlreadyUsed"
            self.attempt(self.chain.master, calls.create_game(game.rounds, game.choices, game.secrets.root), error)

    @rule(index=SMALL, ours=st.integers(0, 9))
    def next_round(self, index: int, ours: int) -> None:
        index = self.pick(index)
        game, error = self.known(index), None
        if not ours:
            error = "OwnableUnauthorizedAccount"
        elif game is None:
            error = "NoSuchGame"
        elif game.status != 1:
            error = "GameNotOpen"
        account = self.chain.master if ours else ACCOUNTS[1]
        if self.attempt(account, calls.increment_round(index), error) and game is not None:
            game.round += 1

    @rule(index=SMALL, number=st.integers(0, 4), lie=st.booleans())
    def clue(self, index: int, number: int, lie: bool) -> None:
        index = self.pick(index)
        game = self.known(index)
        if game is None or game.secrets is None or number >= game.rounds:
            return
        leaf = game.secrets.leaves[number]
        text = leaf.text + ("!" if lie else "")
        error = None
        if number > game.round:
            error = "InvalidRound"
        elif number in game.clues:
            error = "ClueAlreadyRevealed"
        elif lie:
            error = "InvalidProof"
        data = calls.reveal_clue(index, number, text, leaf.salt, game.secrets.proof(number))
        if self.attempt(self.chain.master, data, error):
            game.clues.add(number)

    @rule(index=SMALL, choice=st.integers(0, 5), honest=st.integers(0, 9))
    def reveal(self, index: int, choice: int, honest: int) -> None:
        index = self.pick(index)
        game = self.known(index)
        if game is None:
            self.attempt(self.chain.master, abi.encode_call(PLAIN_REVEAL, index, 0, 0), "NoSuchGame")
            return
        error = None
        if game.secrets is None:
            data = abi.encode_call(PLAIN_REVEAL, index, choice, 9)
        elif honest:
            choice, data = game.secrets.answer, game.secrets.answer_call(index)
        else:
            leaf = game.secrets.leaves[game.rounds]
            choice = (game.secrets.answer + 1) % game.choices
            data = calls.reveal_answer(index, choice, leaf.text, leaf.salt, game.secrets.proof(game.rounds))
            error = "InvalidProof"
        if error is None and game.revealed:
            error = "AnswerAlreadyRevealed"
        elif error is None and game.round < game.rounds:
            error = "GameNotClosed"
        elif error is None and game.overdue:
            error = "RevealTooLate"
        elif error is None and choice >= game.choices:
            error = "InvalidChoice"
        if self.attempt(self.chain.master, data, error):
            game.revealed, game.answer = True, choice

    @rule(index=SMALL)
    def reveal_plainly(self, index: int) -> None:
        index = self.pick(index)
        game = self.known(index)
        if game is not None and game.secrets is not None:
            data = abi.encode_call(PLAIN_REVEAL, index, game.secrets.answer, 9)
            self.attempt(self.chain.master, data, "ProofRequired")

    @rule(on=st.booleans(), rare=st.integers(0, 4))
    def pause(self, on: bool, rare: int) -> None:
        if rare and not self.paused:
            return
        on = on and (not self.paused or not rare)  # a pause does not last long
        error = None if on != self.paused else ("EnforcedPause" if on else "ExpectedPause")
        if self.attempt(self.chain.master, abi.encode_call("pause()" if on else "unpause()"), error):
            self.paused = on

    @rule(rare=st.integers(0, 14))
    def time_passes(self, rare: int) -> None:
        if rare:
            return
        self._deadlines_pass()

    def _deadlines_pass(self) -> None:
        self.chain.actions += 1
        self.chain.rpc("evm_setNextBlockTimestamp", self.chain.look_at_clock() + DAY + 600)
        self.chain.rpc("evm_mine")
        self.chain.look_at_clock()
        for game in self.games:
            game.overdue = True  # no matter for those that are revealed

    @rule(index=SMALL, late=st.integers(0, 9))
    def play_out(self, index: int, late: int) -> None:
        """The rest of a game at once: otherwise few would come to their end. One host in ten oversleeps that."""
        index = self.pick(index)
        game = self.known(index)
        while game is not None and game.status == 1:
            self.attempt(self.chain.master, calls.increment_round(index), None)
            game.round += 1
        if game is None or game.status != 2:
            return
        choice, data = game.rounds % game.choices, abi.encode_call(PLAIN_REVEAL, index, game.rounds % game.choices, 9)
        if game.secrets is not None:
            choice, data = game.secrets.answer, game.secrets.answer_call(index)
        if late == 0:
            self._deadlines_pass()
        if self.attempt(self.chain.master, data, None if late else "RevealTooLate"):
            game.revealed, game.answer = True, choice

    # peers

    @rule(index=SMALL, peer=st.sampled_from(PEERS), who=st.integers(0, 9), ahead=st.integers(0, 9),
          choice=st.integers(0, 5), bet=BETS)  # fmt: skip
    def bet(self, index: int, peer: str, who: int, ahead: int, choice: int, bet: int) -> None:
        index = self.pick(index)
        game = self.known(index)
        owner = OWNERS.get(peer, 0)
        account = ACCOUNTS[owner if who else (owner + 1) % 3]
        ours = peer in OWNERS and bool(who)
        number = game.round if game is not None and ahead > 1 else ahead
        if game is not None and choice < 5:
            choice %= game.choices
        error = None
        if self.paused:
            error = "EnforcedPause"
        elif game is None:
            error = "NoSuchGame"
        elif not ours:
            error = "NotPeerOwner"
        elif (peer, number) in game.guesses:
            error = "AlreadyGuessed"
        elif game.status != 1:
            error = "GameNotOpen"
        elif number != game.round:
            error = "InvalidRound"
        elif choice >= game.choices:
            error = "InvalidChoice"
        elif bet == 0:
            error = "InvalidBet"
        elif bet > GRANT - game.spent.get(peer, 0):
            error = "NotEnoughBetTokens"
        if self.attempt(account, calls.guess_answer(index, peer, number, choice, bet), error) and game is not None:
            tokens = bet * ONE // (number + 1)
            game.guesses[peer, number] = (bet, choice)
            game.spent[peer] = game.spent.get(peer, 0) + bet
            game.pool += bet
            game.supply[choice] = game.supply.get(choice, 0) + tokens
            game.held[peer, choice] = game.held.get((peer, choice), 0) + tokens

    @rule(
        index=SMALL,
        choices=st.lists(st.integers(0, 4), min_size=5, max_size=5),
        bets=st.lists(BETS, min_size=5, max_size=5),
    )
    def everybody_bets(self, index: int, choices: list[int], bets: list[int]) -> None:
        for peer, choice, bet in zip(OWNERS, choices, bets, strict=True):
            self.bet(index, peer, 1, 9, choice, bet)

    @rule(index=SMALL)
    def everybody_claims(self, index: int) -> None:
        for peer in OWNERS:
            self.claim(index, peer, 1)

    @rule(index=SMALL, peer=st.sampled_from(PEERS), who=st.integers(0, 9))
    def claim(self, index: int, peer: str, who: int) -> None:
        index = self.pick(index)
        game = self.known(index)
        owner = OWNERS.get(peer, 0)
        account = ACCOUNTS[owner if who else (owner + 1) % 3]
        error = None
        if self.paused:
            error = "EnforcedPause"
        elif game is None:
            error = "NoSuchGame"
        elif peer not in OWNERS or not who:
            error = "NotPeerOwner"
        elif peer in game.claimed:
            error = "AlreadyClaimed"
        elif game.status not in (3, 4):
            error = "AnswerNotRevealed"
        elif game.payout(peer) == 0:
            error = "NothingToClaim"
        if self.attempt(account, calls.claim_reward(index, peer), error) and game is not None:
            game.paid += game.payout(peer)
            game.claimed.add(peer)

    @rule(index=SMALL, peer=st.sampled_from(PEERS))
    def views(self, index: int, peer: str) -> None:
        index = self.pick(index)
        game = self.known(index)
        if game is None:
            return
        self.chain.actions += 1
        assert self.chain.read("gameStatus(uint256)", index) == game.status
        assert self.chain.read("totalBets(uint256)", index) == game.pool
        assert self.chain.read("totalClaimed(uint256)", index) == game.paid
        last = self.games[-1]
        expected = GRANT - last.spent.get(peer, 0) if peer in OWNERS else 0
        assert self.chain.read("betTokenBalance(string)", peer) == expected

    @invariant()
    def never_more_out_than_in(self) -> None:
        for game in getattr(self, "games", []):
            assert game.paid <= game.pool == sum(game.spent.values())

    def _finish(self, number: int, game: Game) -> None:
        """Claim everything that is left: what stays behind is less than one token per winner, nothing of a refund."""
        if game.status not in (3, 4):
            return
        if self.paused:
            self.chain.send(self.chain.master, abi.encode_call("unpause()"))
            self.paused = False
        for peer, owner in OWNERS.items():
            if peer not in game.claimed and game.payout(peer):
                self.chain.send(ACCOUNTS[owner], calls.claim_reward(number, peer))
                game.paid += game.payout(peer)
        assert self.chain.read("totalClaimed(uint256)", number) == game.paid
        winners = sum(1 for peer in OWNERS if game.payout(peer)) if game.status == 3 else 0
        left = game.pool - game.paid
        assert left == 0 if game.status == 4 or not game.pool else 0 <= left < max(winners, 1)
        total = sum(self.chain.read("choiceSupply(uint256,uint256)", number, choice) for choice in range(game.choices))
        assert total == sum(game.held.values()) == sum(game.supply.values())
