// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// What the market needs of the coordinator: who owns a peer. A view, so the call cannot change anything or come back in.
interface ISwarmCoordinator {
    function getEoa(string[] calldata peerIds) external view returns (address[] memory);
}

interface IPRG {
    /// None: no such game. Open: bets are taken. Closed: all rounds are over, the answer is still secret.
    /// Revealed: winners may claim. Refundable: not revealed in time, or nobody bet on the answer; bets are given back.
    enum GameStatus {
        None,
        Open,
        Closed,
        Revealed,
        Refundable
    }
}

/// Games in which the peers of a swarm bet on the answer to a question while clues appear round by round.
///
/// Every registered peer has `BET_TOKENS` to bet in each game; they are worth nothing outside it. One bet per peer and
/// round. A bet buys tokens of a choice; their price rises with the round, so that an early bet on the right choice owns
/// a larger share. When the answer is revealed, the pool of all bets is shared among the tokens of that choice. Shares are
/// rounded down: what is paid out is at most what was paid in, and less than one token per winner stays behind.
///
/// The owner (the game master) commits to clues, answer and choices by the root of a Merkle tree when a game begins. Leaf
/// numbers are fixed (clue of round r: leaf r, answer: leaf roundCount, choice c: leaf roundCount + 1 + c), so the root
/// fixes exactly one text for each. Bets end before the answer may be revealed. A game that is not revealed in time is
/// refunded, and cannot be revealed any more.
contract PredictionMarket is IPRG, Ownable, Pausable {
    struct Bettor {
        // bet tokens used in this game
        uint128 spent;
        bool claimed;
    }

    struct Guess {
        // bet tokens; zero: no bet
        uint128 bet;
        uint128 choice;
    }

    struct Game {
        bytes32 root;
        uint64 deadline;
        uint32 rounds;
        uint32 choices;
        uint32 round;
        uint32 answer;
        bool revealed;
        // sum of all bets, and what was paid out of it
        uint128 pool;
        uint128 paid;
        mapping(uint256 choice => uint256) supply;
        mapping(bytes32 peer => Bettor) bettors;
        mapping(bytes32 peer => mapping(uint256 choice => uint256)) held;
        mapping(bytes32 peer => mapping(uint256 round => Guess)) guesses;
        mapping(uint256 round => bool) clueRevealed;
    }

    /// What every peer may bet in a game, all rounds together.
    uint256 public constant BET_TOKENS = 1_000_000;
    /// Choice tokens and prices have 18 decimals.
    uint256 public constant ONE = 1e18;
    uint256 public constant MAX_ROUNDS = 32;
    uint256 public constant MAX_CHOICES = 32;
    uint256 public constant MAX_TEXT_BYTES = 4096;
    uint256 public constant MIN_REVEAL_SECONDS = 10;
    uint256 public constant MAX_REVEAL_SECONDS = 30 days;

    ISwarmCoordinator public immutable SWARM_COORDINATOR;

    /// How many games there are; the last one is the current game.
    uint256 public gameCount;
    /// After this time without a next round or an answer a game is refunded.
    uint256 public revealSeconds = 1 days;
    // what a peer was paid in all games together
    mapping(bytes32 peer => uint256) private _paidTo;
    mapping(uint256 gameIdx => Game) private _games;
    // 1 + the game that was created with this root
    mapping(bytes32 root => uint256) private _gameOfRoot;

    event NewGameCreated(uint256 indexed gameIdx, uint256 roundCount, uint256 choiceCount, uint256 startTime);
    event NewGuess(
        uint256 indexed gameIdx, address caller, string peerId, uint256 roundIdx, uint256 choiceIdx, uint256 bet
    );
    event RoundIncremented(uint256 indexed gameIdx, uint256 timestamp);
    event AnswerRevealed(uint256 indexed gameIdx, uint256 correctChoiceIdx, uint256 jobId);
    event RewardClaimed(
        uint256 indexed gameIdx, address caller, string peerId, uint256 correctChoiceTokensIn, uint256 betTokensOut
    );
    event ClueRevealed(uint256 indexed gameIdx, uint256 indexed roundIdx, string clue, bytes32 salt);
    event AnswerProven(uint256 indexed gameIdx, uint256 correctChoiceIdx, string answer, bytes32 salt);
    event RevealSecondsChanged(uint256 revealSeconds);

    error NoSuchGame();
    error InvalidRoundCount();
    error InvalidChoiceCount();
    error InvalidRevealSeconds();
    error InvalidRound();
    error InvalidChoice();
    error InvalidBet();
    error InvalidProof();
    error TextTooLong();
    error RootAlreadyUsed();
    error ClueAlreadyRevealed();
    error AnswerAlreadyRevealed();
    error AnswerNotRevealed();
    error ProofRequired();
    error RevealTooLate();
    error GameNotOpen();
    error GameNotClosed();
    error NotPeerOwner();
    error AlreadyGuessed();
    error NotEnoughBetTokens();
    error AlreadyClaimed();
    error NothingToClaim();

    constructor(ISwarmCoordinator _SWARM_COORDINATOR, address initialOwner) Ownable(initialOwner) {
        SWARM_COORDINATOR = _SWARM_COORDINATOR;
    }

    // The game master

    /// Opens a game in round 0. `merkleRoot` zero: without a commitment, as upstream's first hosts.
    function createNewGame(uint256 roundCount, uint256 choiceCount_, bytes32 merkleRoot)
        external
        onlyOwner
        whenNotPaused
        returns (uint256 newGameIdx)
    {
        if (roundCount == 0 || roundCount > MAX_ROUNDS) revert InvalidRoundCount();
        if (choiceCount_ < 2 || choiceCount_ > MAX_CHOICES) revert InvalidChoiceCount();
        newGameIdx = gameCount++;
        if (merkleRoot != bytes32(0)) {
            // a root again would be a game whose answer is known
            if (_gameOfRoot[merkleRoot] != 0) revert RootAlreadyUsed();
            _gameOfRoot[merkleRoot] = newGameIdx + 1;
        }
        Game storage game = _games[newGameIdx];
        game.root = merkleRoot;
        game.rounds = uint32(roundCount);
        game.choices = uint32(choiceCount_);
        game.deadline = uint64(block.timestamp + revealSeconds);
        emit NewGameCreated(newGameIdx, roundCount, choiceCount_, block.timestamp);
    }

    /// Ends the current round. After the last one no bets are taken and the answer may be revealed.
    function incrementRound(uint256 gameIdx) external onlyOwner {
        Game storage game = _game(gameIdx);
        if (_status(game) != GameStatus.Open) revert GameNotOpen();
        ++game.round;
        game.deadline = uint64(block.timestamp + revealSeconds);
        emit RoundIncremented(gameIdx, block.timestamp);
    }

    /// Publishes the clue of the current or a past round, once, if it is what the root commits to.
    function revealClue(uint256 gameIdx, uint256 roundIdx, string calldata clue, bytes32 salt, bytes32[] calldata proof)
        external
        onlyOwner
    {
        Game storage game = _game(gameIdx);
        if (roundIdx >= game.rounds || roundIdx > game.round) revert InvalidRound();
        if (game.clueRevealed[roundIdx]) revert ClueAlreadyRevealed();
        _prove(game, roundIdx, roundIdx, clue, salt, proof);
        game.clueRevealed[roundIdx] = true;
        emit ClueRevealed(gameIdx, roundIdx, clue, salt);
    }

    /// The answer of a game without a commitment; `ProofRequired` for all others.
    /// @param jobId a number of the game master's own, for its records
    function revealAnswer(uint256 gameIdx, uint256 correctChoiceIdx, uint256 jobId) external onlyOwner {
        Game storage game = _game(gameIdx);
        if (game.root != bytes32(0)) revert ProofRequired();
        _reveal(game, gameIdx, correctChoiceIdx, jobId);
    }

    /// The answer, if it is what the root commits to.
    function revealAnswerWithProof(
        uint256 gameIdx,
        uint256 correctChoiceIdx,
        uint256 jobId,
        string calldata answer,
        bytes32 salt,
        bytes32[] calldata proof
    ) external onlyOwner {
        Game storage game = _game(gameIdx);
        _prove(game, game.rounds, correctChoiceIdx, answer, salt, proof);
        _reveal(game, gameIdx, correctChoiceIdx, jobId);
        emit AnswerProven(gameIdx, correctChoiceIdx, answer, salt);
    }

    /// How long a game may go without a next round or its answer; for games and rounds that begin from now on.
    function setRevealSeconds(uint256 seconds_) external onlyOwner {
        if (seconds_ < MIN_REVEAL_SECONDS || seconds_ > MAX_REVEAL_SECONDS) revert InvalidRevealSeconds();
        revealSeconds = seconds_;
        emit RevealSecondsChanged(seconds_);
    }

    /// Stops new games, bets and claims. Rounds and answers go on, so that a game ends as it was committed.
    function pause() external onlyOwner {
        _pause();
    }

    function unpause() external onlyOwner {
        _unpause();
    }

    // Peers

    /// Bets on a choice in the current round, once per peer and round, by the account that owns the peer.
    function guessAnswer(uint256 gameIdx, string calldata peerId, uint256 roundIdx, uint256 choiceIdx, uint256 bet)
        external
        whenNotPaused
    {
        Game storage game = _game(gameIdx);
        _onlyPeerOwner(peerId);
        bytes32 peer = _key(peerId);
        Guess storage guess = game.guesses[peer][roundIdx];
        // told first: a sender that is not sure whether its bet arrived learns that it did
        if (guess.bet != 0) revert AlreadyGuessed();
        if (_status(game) != GameStatus.Open) revert GameNotOpen();
        if (roundIdx != game.round) revert InvalidRound();
        if (choiceIdx >= game.choices) revert InvalidChoice();
        if (bet == 0) revert InvalidBet();
        Bettor storage bettor = game.bettors[peer];
        if (bet > BET_TOKENS - bettor.spent) revert NotEnoughBetTokens();
        uint256 tokens = _tokensOut(roundIdx, bet);
        bettor.spent += uint128(bet);
        guess.bet = uint128(bet);
        guess.choice = uint128(choiceIdx);
        game.pool += uint128(bet);
        game.supply[choiceIdx] += tokens;
        game.held[peer][choiceIdx] += tokens;
        emit NewGuess(gameIdx, msg.sender, peerId, roundIdx, choiceIdx, bet);
    }

    /// Pays a peer's share of the pool, or gives its bets back when the game is refundable; once.
    function claimReward(uint256 gameIdx, string calldata peerId) external whenNotPaused {
        Game storage game = _game(gameIdx);
        _onlyPeerOwner(peerId);
        bytes32 peer = _key(peerId);
        Bettor storage bettor = game.bettors[peer];
        if (bettor.claimed) revert AlreadyClaimed();
        (uint256 tokensIn, uint256 out) = _claimable(game, peer);
        if (out == 0) revert NothingToClaim();
        bettor.claimed = true;
        game.paid += uint128(out);
        _paidTo[peer] += out;
        emit RewardClaimed(gameIdx, msg.sender, peerId, tokensIn, out);
    }

    // Views

    /// What the peer may still bet in the current game; zero without a game and for peers nobody registered.
    function betTokenBalance(string calldata peerId) external view returns (uint256) {
        if (gameCount == 0 || _ownerOf(peerId) == address(0)) return 0;
        return BET_TOKENS - _games[gameCount - 1].bettors[_key(peerId)].spent;
    }

    /// What the peer bet in a game, all rounds together.
    function betTokensSpent(uint256 gameIdx, string calldata peerId) external view returns (uint256) {
        return _game(gameIdx).bettors[_key(peerId)].spent;
    }

    /// The peer's bet in a round: `bet` zero when it made none.
    function guessOf(uint256 gameIdx, uint256 roundIdx, string calldata peerId)
        external
        view
        returns (uint256 bet, uint256 choiceIdx)
    {
        Guess storage guess = _game(gameIdx).guesses[_key(peerId)][roundIdx];
        return (guess.bet, guess.choice);
    }

    /// What `claimReward` would pay now. Reverts with `AnswerNotRevealed` while the game goes on.
    function claimable(uint256 gameIdx, string calldata peerId) external view returns (uint256) {
        Game storage game = _game(gameIdx);
        bytes32 peer = _key(peerId);
        if (game.bettors[peer].claimed) return 0;
        (, uint256 out) = _claimable(game, peer);
        return out;
    }

    function hasClaimed(uint256 gameIdx, string calldata peerId) external view returns (bool) {
        return _game(gameIdx).bettors[_key(peerId)].claimed;
    }

    /// What the peer was paid in all games together.
    function totalPaid(string calldata peerId) external view returns (uint256) {
        return _paidTo[_key(peerId)];
    }

    function choiceCount(uint256 gameIdx) external view returns (uint256) {
        return _game(gameIdx).choices;
    }

    /// Rounds that are over; equal to the number of rounds once bets are closed.
    function currentRoundIdx(uint256 gameIdx) external view returns (uint256) {
        return _game(gameIdx).round;
    }

    function gameStatus(uint256 gameIdx) external view returns (GameStatus) {
        if (gameIdx >= gameCount) return GameStatus.None;
        return _status(_games[gameIdx]);
    }

    /// All choice tokens of a choice.
    function choiceSupply(uint256 gameIdx, uint256 choiceIdx) external view returns (uint256) {
        return _choiceOf(gameIdx, choiceIdx).supply[choiceIdx];
    }

    function choiceTokenBalance(uint256 gameIdx, uint256 choiceIdx, string calldata peerId)
        external
        view
        returns (uint256)
    {
        return _choiceOf(gameIdx, choiceIdx).held[_key(peerId)][choiceIdx];
    }

    /// How many tokens of a choice `bet` bet tokens buy in a round.
    function choiceTokensOut(uint256 gameIdx, uint256 roundIdx, uint256 choiceIdx, uint256 bet)
        external
        view
        returns (uint256)
    {
        _roundOf(gameIdx, roundIdx, choiceIdx);
        if (bet > BET_TOKENS) revert NotEnoughBetTokens();
        return _tokensOut(roundIdx, bet);
    }

    /// Bet tokens for one choice token, with 18 decimals: 1 in the first round, 2 in the second, and so on.
    function price(uint256 gameIdx, uint256 roundIdx, uint256 choiceIdx) external view returns (uint256) {
        _roundOf(gameIdx, roundIdx, choiceIdx);
        return (roundIdx + 1) * ONE;
    }

    /// The pool: all bets of a game.
    function totalBets(uint256 gameIdx) external view returns (uint256) {
        return _game(gameIdx).pool;
    }

    /// What was paid out of the pool so far.
    function totalClaimed(uint256 gameIdx) external view returns (uint256) {
        return _game(gameIdx).paid;
    }

    /// Commitment, rounds and end of a game. `deadline` is in seconds since 1970; `answer` counts only if `revealed`.
    function gameInfo(uint256 gameIdx)
        external
        view
        returns (bytes32 root, uint256 rounds, uint256 deadline, bool revealed, uint256 answer)
    {
        Game storage game = _game(gameIdx);
        return (game.root, game.rounds, game.deadline, game.revealed, game.answer);
    }

    function isClueRevealed(uint256 gameIdx, uint256 roundIdx) external view returns (bool) {
        return _game(gameIdx).clueRevealed[roundIdx];
    }

    /// The game that was created with a root; `exists` false when there is none.
    function gameOfRoot(bytes32 root) external view returns (bool exists, uint256 gameIdx) {
        uint256 stored = _gameOfRoot[root];
        return stored == 0 ? (false, 0) : (true, stored - 1);
    }

    /// The leaf at place `position` of a game's tree: `index` is a round (clue) or a choice (answer, choice).
    function leaf(uint256 position, uint256 index, string calldata text, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(position, index, text, salt));
    }

    /// Whether a leaf is where a game's root commits to it; anybody may check clue, answer and choices.
    function verify(
        uint256 gameIdx,
        uint256 position,
        uint256 index,
        string calldata text,
        bytes32 salt,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _isProven(_game(gameIdx), position, index, text, salt, proof);
    }

    // Internals

    function _reveal(Game storage game, uint256 gameIdx, uint256 correctChoiceIdx, uint256 jobId) private {
        if (game.revealed) revert AnswerAlreadyRevealed();
        if (game.round < game.rounds) revert GameNotClosed();
        if (_isOverdue(game)) revert RevealTooLate();
        if (correctChoiceIdx >= game.choices) revert InvalidChoice();
        game.revealed = true;
        game.answer = uint32(correctChoiceIdx);
        emit AnswerRevealed(gameIdx, correctChoiceIdx, jobId);
    }

    function _prove(
        Game storage game,
        uint256 position,
        uint256 index,
        string calldata text,
        bytes32 salt,
        bytes32[] calldata proof
    ) private view {
        if (bytes(text).length > MAX_TEXT_BYTES) revert TextTooLong();
        if (!_isProven(game, position, index, text, salt, proof)) revert InvalidProof();
    }

    /// A tree whose leaves keep their places: the bits of `position` say on which side each sibling stands. Nodes hash 64
    /// bytes and leaves at least 160, so neither can stand for the other.
    function _isProven(
        Game storage game,
        uint256 position,
        uint256 index,
        string calldata text,
        bytes32 salt,
        bytes32[] calldata proof
    ) private view returns (bool) {
        uint256 leaves = uint256(game.rounds) + 1 + game.choices;
        if (game.root == bytes32(0) || position >= leaves) return false;
        bytes32 node = leaf(position, index, text, salt);
        uint256 width = 1;
        for (uint256 level = 0; level < proof.length; ++level) {
            if (width >= leaves) return false; // longer than the tree is deep
            node = (position >> level) & 1 == 0
                ? keccak256(abi.encodePacked(node, proof[level]))
                : keccak256(abi.encodePacked(proof[level], node));
            width <<= 1;
        }
        return width >= leaves && node == game.root;
    }

    function _claimable(Game storage game, bytes32 peer) private view returns (uint256 tokensIn, uint256 out) {
        GameStatus status = _status(game);
        if (status == GameStatus.Refundable) return (0, game.bettors[peer].spent);
        if (status != GameStatus.Revealed) revert AnswerNotRevealed();
        tokensIn = game.held[peer][game.answer];
        if (tokensIn == 0) return (0, 0);
        out = (uint256(game.pool) * tokensIn) / game.supply[game.answer];
    }

    function _status(Game storage game) private view returns (GameStatus) {
        if (game.revealed) {
            return game.pool != 0 && game.supply[game.answer] == 0 ? GameStatus.Refundable : GameStatus.Revealed;
        }
        if (_isOverdue(game)) return GameStatus.Refundable;
        return game.round < game.rounds ? GameStatus.Open : GameStatus.Closed;
    }

    function _isOverdue(Game storage game) private view returns (bool) {
        return block.timestamp > game.deadline;
    }

    function _tokensOut(uint256 roundIdx, uint256 bet) private pure returns (uint256) {
        return (bet * ONE) / (roundIdx + 1);
    }

    function _game(uint256 gameIdx) private view returns (Game storage) {
        if (gameIdx >= gameCount) revert NoSuchGame();
        return _games[gameIdx];
    }

    function _choiceOf(uint256 gameIdx, uint256 choiceIdx) private view returns (Game storage game) {
        game = _game(gameIdx);
        if (choiceIdx >= game.choices) revert InvalidChoice();
    }

    function _roundOf(uint256 gameIdx, uint256 roundIdx, uint256 choiceIdx) private view {
        if (roundIdx >= _choiceOf(gameIdx, choiceIdx).rounds) revert InvalidRound();
    }

    function _onlyPeerOwner(string calldata peerId) private view {
        if (_ownerOf(peerId) != msg.sender) revert NotPeerOwner();
    }

    function _ownerOf(string calldata peerId) private view returns (address) {
        string[] memory peers = new string[](1);
        peers[0] = peerId;
        return SWARM_COORDINATOR.getEoa(peers)[0];
    }

    function _key(string calldata peerId) private pure returns (bytes32) {
        return keccak256(bytes(peerId));
    }
}
