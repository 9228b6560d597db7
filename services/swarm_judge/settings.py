"""Settings of the judge and the game master."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from swarm_chain.settings import ChainSettings


class JudgeSettings(ChainSettings):
    """Who may ask, how long an answer may take, and the schedule of the market's games."""

    judge_host: str = Field("0.0.0.0", description="Address that the judge listens on inside the container.")  # noqa: S104 - the container's own
    judge_port: int = Field(8100, ge=1, le=65535, description="Port of the judge inside the container.")
    judge_state_dir: Path = Field(Path("/judge-state"), description="Database of sessions, scores and games.")
    judge_keys_dir: Path = Field(Path("/judge-keys"), description="Key of the game master, who owns the market.")
    judge_unsigned: int = Field(0, ge=0, le=1, description="1: also serve clients that do not sign, as upstream's.")
    judge_answer_seconds: float = Field(
        600.0, ge=1, le=3600, description="Time for an answer; a question that is not answered in time scores 0."
    )
    judge_questions_per_round: int = Field(
        1, ge=1, le=1000, description="Questions that a peer may ask for in a round."
    )
    market_games: int = Field(-1, ge=-1, description="How many games to hold; -1: one after another without end.")
    market_rounds: int = Field(3, ge=1, le=8, description="Clues, and rounds of bets, in a game.")
    market_choices: int = Field(4, ge=2, le=10, description="Possible answers in a game.")
    market_clue_seconds: float = Field(60.0, ge=1, le=86_400, description="How long bets are taken after a clue.")
    market_pause_seconds: float = Field(60.0, ge=0, le=604_800, description="From the end of a game to the next.")

    def writable_directories(self) -> Iterable[Path]:
        """Probed at start."""
        return (self.judge_state_dir,)
