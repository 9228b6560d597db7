// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// A list of keys that is always ordered by a count, largest first, at a constant cost per change.
///
/// Counts only ever rise by one. So a key that rises swaps places with the first key that has the same count, which makes
/// it the last key with the next count: no other key moves. Among equal counts the order is not specified.
library Leaderboard {
    struct Board {
        // keys, largest count first
        bytes32[] order;
        // how often a key was counted
        mapping(bytes32 => uint256) count;
        // where a key stands in `order`; meaningful for keys with a count only
        mapping(bytes32 => uint256) place;
        // where the keys of one count begin in `order`; meaningful for counts that some key has
        mapping(uint256 => uint256) start;
    }

    /// Adds one to the count of a key. Writes at most eight storage slots, however many keys there are.
    function increment(Board storage board, bytes32 key) internal {
        uint256 count = board.count[key];
        uint256 target;
        if (count == 0) {
            target = board.order.length;
            board.order.push(key);
        } else {
            target = board.start[count];
            uint256 from = board.place[key];
            bytes32 first = board.order[target];
            board.order[from] = first;
            board.place[first] = from;
            board.order[target] = key;
            board.start[count] = target + 1;
        }
        board.place[key] = target;
        board.count[key] = count + 1;
        if (target == 0 || board.count[board.order[target - 1]] != count + 1) {
            board.start[count + 1] = target;
        }
    }

    /// The part of [start, end) that exists, cut to `limit` entries.
    function page(Board storage board, uint256 start, uint256 end, uint256 limit)
        internal
        view
        returns (bytes32[] memory keys, uint256[] memory counts)
    {
        uint256 length = board.order.length;
        if (end > length) end = length;
        if (start >= end) return (keys, counts);
        if (end - start > limit) end = start + limit;
        keys = new bytes32[](end - start);
        counts = new uint256[](end - start);
        for (uint256 i = start; i < end; ++i) {
            bytes32 key = board.order[i];
            keys[i - start] = key;
            counts[i - start] = board.count[key];
        }
    }
}
