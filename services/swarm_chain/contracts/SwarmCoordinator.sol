// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {Leaderboard} from "./Leaderboard.sol";

/// Rounds, peers, rewards, votes and bootnodes of one swarm.
///
/// Peers are known by their libp2p id (base58 text). The first account that registers an id owns it; an account may own
/// many. What counts once, counts once per peer; sums exist per account and per peer. Every loop and every stored string
/// is bounded. Runs behind an ERC-1967 proxy whose constructor calls `initialize`; state lives in one ERC-7201 struct,
/// which later versions extend at its end.
contract SwarmCoordinator is Initializable, UUPSUpgradeable {
    using Leaderboard for Leaderboard.Board;

    struct Peer {
        address owner;
        // sum of all rewards
        int256 rewards;
        string id;
    }

    struct StageRewards {
        // sum over the peers of the account
        int248 sum;
        bool submitted;
    }

    /// @custom:storage-location erc7201:rlswarm.SwarmCoordinator
    struct Storage {
        uint256 round;
        uint256 stage;
        uint128 maxReward;
        uint64 roundWindow;
        mapping(bytes32 role => mapping(address account => bool)) roles;
        // peers by the hash of their id
        mapping(bytes32 key => Peer) peers;
        mapping(address account => bytes32[]) peersOf;
        mapping(uint256 round => mapping(uint256 stage => mapping(bytes32 key => bool))) rewarded;
        mapping(uint256 round => mapping(uint256 stage => mapping(address account => StageRewards))) stageRewards;
        mapping(uint256 round => mapping(bytes32 voter => bytes32[])) votes;
        mapping(uint256 round => mapping(bytes32 winner => uint256)) votesReceived;
        Leaderboard.Board voters;
        Leaderboard.Board winners;
        string[] bootnodes;
    }

    bytes32 public constant OWNER_ROLE = keccak256("OWNER_ROLE");
    bytes32 public constant STAGE_MANAGER_ROLE = keccak256("STAGE_MANAGER_ROLE");
    bytes32 public constant BOOTNODE_MANAGER_ROLE = keccak256("BOOTNODE_MANAGER_ROLE");

    uint256 public constant MAX_PEER_ID_BYTES = 128;
    uint256 public constant MAX_WINNERS = 10;
    uint256 public constant MAX_BOOTNODES = 32;
    uint256 public constant MAX_BOOTNODE_BYTES = 256;
    uint256 public constant MAX_PAGE = 100;

    uint256 private constant STAGES = 1;
    // keccak256(abi.encode(uint256(keccak256("rlswarm.SwarmCoordinator")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORAGE_SLOT = 0x8dda1fd1051c62c0964548502993ea4ebc57fc1edfc8e008db49b78d8c5d2000;

    event PeerRegistered(address indexed eoa, string peerId);
    event RewardSubmitted(
        address indexed account,
        uint256 indexed roundNumber,
        uint256 indexed stageNumber,
        int256 reward,
        string peerId
    );
    event CumulativeRewardsUpdated(address indexed account, string peerId, int256 totalRewards);
    event WinnerSubmitted(address indexed account, string peerId, uint256 indexed roundNumber, string[] winners);
    event RoundAdvanced(uint256 indexed newRoundNumber);
    event StageAdvanced(uint256 indexed roundNumber, uint256 newStage);
    event BootnodesAdded(address indexed manager, uint256 count);
    event BootnodeRemoved(address indexed manager, uint256 index);
    event AllBootnodesCleared(address indexed manager);
    event RoleGranted(bytes32 indexed role, address indexed account, address indexed sender);
    event RoleRevoked(bytes32 indexed role, address indexed account, address indexed sender);
    event LimitsChanged(uint256 maxReward, uint256 roundWindow);

    error OnlyOwner();
    error OnlyStageManager();
    error OnlyBootnodeManager();
    error PeerIdAlreadyRegistered();
    error InvalidRoundNumber();
    error InvalidStageNumber();
    error StageOutOfBounds();
    error InvalidVote();
    error InvalidVoterPeerId();
    error RewardAlreadySubmitted();
    error WinnerAlreadyVoted();
    error InvalidBootnodeIndex();

    modifier onlyOwner() {
        if (!hasRole(OWNER_ROLE, msg.sender)) revert OnlyOwner();
        _;
    }

    modifier onlyStageManager() {
        if (!hasRole(STAGE_MANAGER_ROLE, msg.sender)) revert OnlyStageManager();
        _;
    }

    modifier onlyBootnodeManager() {
        if (!hasRole(BOOTNODE_MANAGER_ROLE, msg.sender)) revert OnlyBootnodeManager();
        _;
    }

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// Called once, by the constructor of the proxy. All roles go to `owner_`, who may hand them on.
    function initialize(address owner_) external initializer {
        if (owner_ == address(0)) revert OnlyOwner();
        _setRole(OWNER_ROLE, owner_, true);
        _setRole(STAGE_MANAGER_ROLE, owner_, true);
        _setRole(BOOTNODE_MANAGER_ROLE, owner_, true);
        _setLimits(1_000_000, 60_480);
    }

    // Roles and limits

    function hasRole(bytes32 role, address account) public view returns (bool) {
        return _state().roles[role][account];
    }

    function grantRole(bytes32 role, address account) external onlyOwner {
        _setRole(role, account, true);
    }

    /// An owner cannot take the owner role from itself, so there always is one.
    function revokeRole(bytes32 role, address account) external onlyOwner {
        if (role == OWNER_ROLE && account == msg.sender) revert OnlyOwner();
        _setRole(role, account, false);
    }

    /// @param maxReward_ largest absolute value of one reward
    /// @param roundWindow_ how many rounds before the current one still accept rewards and votes
    function setLimits(uint128 maxReward_, uint64 roundWindow_) external onlyOwner {
        _setLimits(maxReward_, roundWindow_);
    }

    function maxReward() external view returns (uint256) {
        return _state().maxReward;
    }

    function roundWindow() external view returns (uint256) {
        return _state().roundWindow;
    }

    // Rounds

    function currentRound() external view returns (uint256) {
        return _state().round;
    }

    function currentStage() external view returns (uint256) {
        return _state().stage;
    }

    function stageCount() public pure returns (uint256) {
        return STAGES;
    }

    /// Goes on to the next stage, or from the last stage to the next round.
    /// @return round and stage from now on
    function updateStageAndRound() external onlyStageManager returns (uint256, uint256) {
        Storage storage state = _state();
        if (state.stage >= STAGES) revert StageOutOfBounds();
        if (state.stage + 1 == STAGES) {
            state.stage = 0;
            emit RoundAdvanced(++state.round);
        } else {
            ++state.stage;
        }
        emit StageAdvanced(state.round, state.stage);
        return (state.round, state.stage);
    }

    // Peers

    /// Makes the caller the owner of a peer id that nobody owns. `InvalidVoterPeerId` unless the id is 1 to 128 bytes of
    /// printable ASCII: other bytes would make lists unreadable for clients that decode text strictly.
    function registerPeer(string calldata peerId) external {
        if (!_isText(peerId, MAX_PEER_ID_BYTES)) revert InvalidVoterPeerId();
        Storage storage state = _state();
        bytes32 key = _key(peerId);
        Peer storage peer = state.peers[key];
        if (peer.owner != address(0)) revert PeerIdAlreadyRegistered();
        peer.owner = msg.sender;
        peer.id = peerId;
        state.peersOf[msg.sender].push(key);
        emit PeerRegistered(msg.sender, peerId);
    }

    /// Owners of peers, zero where a peer is unknown.
    function getEoa(string[] calldata peerIds) external view returns (address[] memory owners) {
        Storage storage state = _state();
        owners = new address[](peerIds.length);
        for (uint256 i = 0; i < peerIds.length; ++i) {
            owners[i] = state.peers[_key(peerIds[i])].owner;
        }
    }

    /// For each account all peers that it owns, in the order of their registration.
    function getPeerId(address[] calldata eoas) external view returns (string[][] memory peerIds) {
        Storage storage state = _state();
        peerIds = new string[][](eoas.length);
        for (uint256 i = 0; i < eoas.length; ++i) {
            peerIds[i] = _ids(state.peersOf[eoas[i]]);
        }
    }

    // Rewards

    function submitReward(uint256 roundNumber, uint256 stageNumber, int256 reward, string calldata peerId) external {
        _submitReward(roundNumber, stageNumber, reward, peerId);
    }

    /// The unsigned form that later trainers of this interface call.
    function submitReward(uint256 roundNumber, uint256 stageNumber, uint256 reward, string calldata peerId) external {
        // the cut keeps the conversion from wrapping; what was cut is far over the limit and refused there
        uint256 cut = reward > uint256(type(int256).max) ? uint256(type(int256).max) : reward;
        _submitReward(roundNumber, stageNumber, int256(cut), peerId);
    }

    /// Sums over all peers of each account, for one stage of one round.
    function getRoundStageReward(uint256 roundNumber, uint256 stageNumber, address[] calldata accounts)
        external
        view
        returns (int256[] memory rewards)
    {
        rewards = new int256[](accounts.length);
        for (uint256 i = 0; i < accounts.length; ++i) {
            rewards[i] = _state().stageRewards[roundNumber][stageNumber][accounts[i]].sum;
        }
    }

    /// Whether any peer of the account has a reward in this stage of this round.
    function hasSubmittedRoundStageReward(uint256 roundNumber, uint256 stageNumber, address account)
        external
        view
        returns (bool)
    {
        return _state().stageRewards[roundNumber][stageNumber][account].submitted;
    }

    function hasSubmittedRoundStageReward(uint256 roundNumber, uint256 stageNumber, string calldata peerId)
        external
        view
        returns (bool)
    {
        return _state().rewarded[roundNumber][stageNumber][_key(peerId)];
    }

    /// Sums over all rounds, per peer.
    function getTotalRewards(string[] calldata peerIds) external view returns (int256[] memory rewards) {
        Storage storage state = _state();
        rewards = new int256[](peerIds.length);
        for (uint256 i = 0; i < peerIds.length; ++i) {
            rewards[i] = state.peers[_key(peerIds[i])].rewards;
        }
    }

    // Votes

    /// One vote of a peer per round, for 1 to 10 different registered peers.
    function submitWinners(uint256 roundNumber, string[] calldata winners, string calldata peerId) external {
        Storage storage state = _state();
        _checkRound(state, roundNumber);
        bytes32 voter = _key(peerId);
        bytes32[] storage chosen = state.votes[roundNumber][voter];
        if (chosen.length != 0) revert WinnerAlreadyVoted();
        if (state.peers[voter].owner != msg.sender) revert InvalidVoterPeerId();
        if (winners.length == 0 || winners.length > MAX_WINNERS) revert InvalidVote();
        bytes32[] memory keys = new bytes32[](winners.length);
        for (uint256 i = 0; i < winners.length; ++i) {
            bytes32 key = _key(winners[i]);
            if (state.peers[key].owner == address(0)) revert InvalidVote();
            for (uint256 j = 0; j < i; ++j) {
                if (keys[j] == key) revert InvalidVote();
            }
            keys[i] = key;
            chosen.push(key);
            ++state.votesReceived[roundNumber][key];
            state.winners.increment(key);
        }
        state.voters.increment(voter);
        emit WinnerSubmitted(msg.sender, peerId, roundNumber, winners);
    }

    /// Whom a peer voted for in a round; empty when it did not vote.
    function getVoterVotes(uint256 roundNumber, string calldata peerId) external view returns (string[] memory) {
        return _ids(_state().votes[roundNumber][_key(peerId)]);
    }

    /// How many votes a peer received in a round.
    function getPeerVoteCount(uint256 roundNumber, string calldata peerId) external view returns (uint256) {
        return _state().votesReceived[roundNumber][_key(peerId)];
    }

    /// How many votes a peer received in all rounds.
    function getTotalWins(string calldata peerId) external view returns (uint256) {
        return _state().winners.count[_key(peerId)];
    }

    /// In how many rounds a peer voted.
    function getVoterVoteCount(string calldata peerId) external view returns (uint256) {
        return _state().voters.count[_key(peerId)];
    }

    function uniqueVoters() external view returns (uint256) {
        return _state().voters.order.length;
    }

    function uniqueVotedPeers() external view returns (uint256) {
        return _state().winners.order.length;
    }

    /// Places [start, end) of the peers that voted most often, at most 100 of them.
    function voterLeaderboard(uint256 start, uint256 end)
        external
        view
        returns (string[] memory peerIds, uint256[] memory voteCounts)
    {
        return _page(_state().voters, start, end);
    }

    /// Places [start, end) of the peers with most wins, at most 100 of them.
    function winnerLeaderboard(uint256 start, uint256 end)
        external
        view
        returns (string[] memory peerIds, uint256[] memory wins)
    {
        return _page(_state().winners, start, end);
    }

    // Bootnodes

    /// `InvalidBootnodeIndex` when there would be more than 32 or one is not 1 to 256 bytes of printable ASCII.
    function addBootnodes(string[] calldata newBootnodes) external onlyBootnodeManager {
        string[] storage bootnodes = _state().bootnodes;
        if (newBootnodes.length > MAX_BOOTNODES - bootnodes.length) revert InvalidBootnodeIndex();
        for (uint256 i = 0; i < newBootnodes.length; ++i) {
            if (!_isText(newBootnodes[i], MAX_BOOTNODE_BYTES)) revert InvalidBootnodeIndex();
            bootnodes.push(newBootnodes[i]);
        }
        emit BootnodesAdded(msg.sender, newBootnodes.length);
    }

    /// The last bootnode moves into the gap.
    function removeBootnode(uint256 index) external onlyBootnodeManager {
        string[] storage bootnodes = _state().bootnodes;
        if (index >= bootnodes.length) revert InvalidBootnodeIndex();
        uint256 last = bootnodes.length - 1;
        if (index != last) bootnodes[index] = bootnodes[last];
        bootnodes.pop();
        emit BootnodeRemoved(msg.sender, index);
    }

    function clearBootnodes() external onlyBootnodeManager {
        delete _state().bootnodes;
        emit AllBootnodesCleared(msg.sender);
    }

    function getBootnodes() external view returns (string[] memory) {
        return _state().bootnodes;
    }

    function getBootnodesCount() external view returns (uint256) {
        return _state().bootnodes.length;
    }

    // Internals

    function _authorizeUpgrade(address) internal view override onlyOwner {}

    /// Duplicates are refused before ownership is looked at: callers tell the two apart by that order.
    function _submitReward(uint256 roundNumber, uint256 stageNumber, int256 reward, string calldata peerId) private {
        Storage storage state = _state();
        _checkRound(state, roundNumber);
        uint256 lastStage = roundNumber == state.round ? state.stage : STAGES - 1;
        if (stageNumber > lastStage) revert InvalidStageNumber();
        bytes32 key = _key(peerId);
        if (state.rewarded[roundNumber][stageNumber][key]) revert RewardAlreadySubmitted();
        Peer storage peer = state.peers[key];
        if (peer.owner != msg.sender) revert InvalidVoterPeerId();
        int256 limit = int256(uint256(state.maxReward));
        if (reward > limit || reward < -limit) revert InvalidVote();
        state.rewarded[roundNumber][stageNumber][key] = true;
        StageRewards storage ofAccount = state.stageRewards[roundNumber][stageNumber][msg.sender];
        ofAccount.submitted = true;
        ofAccount.sum += int248(reward); // fits: the limit is a uint128
        peer.rewards += reward;
        emit RewardSubmitted(msg.sender, roundNumber, stageNumber, reward, peerId);
        emit CumulativeRewardsUpdated(msg.sender, peerId, peer.rewards);
    }

    /// A round counts from its start until it is more than `roundWindow` rounds old.
    function _checkRound(Storage storage state, uint256 roundNumber) private view {
        if (roundNumber > state.round || state.round - roundNumber > state.roundWindow) revert InvalidRoundNumber();
    }

    function _setRole(bytes32 role, address account, bool granted) private {
        mapping(address => bool) storage holders = _state().roles[role];
        if (holders[account] == granted) return;
        holders[account] = granted;
        if (granted) emit RoleGranted(role, account, msg.sender);
        else emit RoleRevoked(role, account, msg.sender);
    }

    function _setLimits(uint128 maxReward_, uint64 roundWindow_) private {
        Storage storage state = _state();
        state.maxReward = maxReward_;
        state.roundWindow = roundWindow_;
        emit LimitsChanged(maxReward_, roundWindow_);
    }

    function _page(Leaderboard.Board storage board, uint256 start, uint256 end)
        private
        view
        returns (string[] memory peerIds, uint256[] memory counts)
    {
        bytes32[] memory keys;
        (keys, counts) = board.page(start, end, MAX_PAGE);
        peerIds = _ids(keys);
    }

    function _ids(bytes32[] memory keys) private view returns (string[] memory ids) {
        Storage storage state = _state();
        ids = new string[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            ids[i] = state.peers[keys[i]].id;
        }
    }

    /// Whether the text has 1 to `limit` characters, all of them printable ASCII without the space.
    function _isText(string calldata text, uint256 limit) private pure returns (bool) {
        bytes calldata characters = bytes(text);
        if (characters.length == 0 || characters.length > limit) return false;
        for (uint256 i = 0; i < characters.length; ++i) {
            if (characters[i] < 0x21 || characters[i] > 0x7e) return false;
        }
        return true;
    }

    function _key(string calldata peerId) private pure returns (bytes32) {
        return keccak256(bytes(peerId));
    }

    function _state() private pure returns (Storage storage state) {
        assembly ("memory-safe") {
            state.slot := STORAGE_SLOT
        }
    }
}
