"""Every `SWARM_*` variable of the product, so that a process can refuse an unknown one.

Compose hands the same `.env` to all services, hence the union. `tests/interfaces/test_settings.py` compares
this list with the settings classes, `.env.example` and `docker-compose.yml`.
"""

from __future__ import annotations

# read by Compose or the Makefile only, never by a process
COMPOSE_NAMES = frozenset(
    {
        "SWARM_BIND_ADDRESS",
        "SWARM_CADDY_BIND",
        "SWARM_CADDY_HTTPS_PORT",
        "SWARM_CADDY_HTTP_PORT",
        "SWARM_CADDY_TLS",
        "SWARM_EXPORTER_PUBLISHED_PORT",
        "SWARM_GATEWAY_BIND",
        "SWARM_GATEWAY_PUBLISHED_PORT",
        "SWARM_GRAFANA_PORT",
        "SWARM_HTTPS_BIND",
        "SWARM_IMAGE_TAG",
        "SWARM_NODE_MEMORY",
        "SWARM_P2P_BIND",
        "SWARM_PROMETHEUS_PORT",
    }
)

PROCESS_NAMES = frozenset(
    {
        # every process
        "SWARM_ENV_VERSION",
        "SWARM_LOCAL_PEERS",
        "SWARM_LOCAL_SWARM",
        "SWARM_LOG_FORMAT",
        "SWARM_LOG_LEVEL",
        "SWARM_RUN_DIR",
        # chain
        "SWARM_BOOTNODE_ADDRESS",
        "SWARM_BOOTNODE_SOCKET",
        "SWARM_CHAIN_ID",
        "SWARM_COORDINATOR",
        "SWARM_DEPLOYMENT_FILE",
        "SWARM_JUDGE_KEYS_DIR",
        "SWARM_KEEPER_SOCKET",
        "SWARM_MARKET",
        "SWARM_MARKET_REVEAL_SECONDS",
        "SWARM_REPORT_WINDOW_ROUNDS",
        "SWARM_REWARD_LIMIT",
        "SWARM_ROLE_KEYS_DIR",
        "SWARM_ROUND_SECONDS",
        "SWARM_RPC_URL",
        # gateway
        "SWARM_GATEWAY_PORT",
        "SWARM_GATEWAY_READS",
        "SWARM_GATEWAY_WRITES",
        # DHT daemon
        "SWARM_ADMIT",
        "SWARM_ALLOW_PEERS",
        "SWARM_ANNOUNCE",
        "SWARM_BOOTNODES",
        "SWARM_DENY_PEERS",
        "SWARM_DHT_COMPAT",
        "SWARM_KEY_DIR",
        "SWARM_MAX_AGE_SECONDS",
        "SWARM_MAX_PER_ACCOUNT",
        "SWARM_MAX_PER_SUBNET",
        "SWARM_P2P_HOST",
        "SWARM_P2P_PORT",
        "SWARM_REACHABILITY",
        # judge
        "SWARM_JUDGE_ANSWER_SECONDS",
        "SWARM_JUDGE_HOST",
        "SWARM_JUDGE_PORT",
        "SWARM_JUDGE_QUESTIONS_PER_ROUND",
        "SWARM_JUDGE_STATE_DIR",
        "SWARM_JUDGE_UNSIGNED",
        "SWARM_MARKET_CHOICES",
        "SWARM_MARKET_CLUE_SECONDS",
        "SWARM_MARKET_GAMES",
        "SWARM_MARKET_PAUSE_SECONDS",
        "SWARM_MARKET_ROUNDS",
        # worker
        "SWARM_API_TOKEN_FILE",
        "SWARM_BETA",
        "SWARM_DEVICE",
        "SWARM_EPSILON",
        "SWARM_EPSILON_HIGH",
        "SWARM_EVAL_STEPS",
        "SWARM_EXCHANGE_SECONDS",
        "SWARM_HUB_PUSH_STEPS",
        "SWARM_HUB_TOKEN_FILE",
        "SWARM_JUDGE_STEPS",
        "SWARM_JUDGE_URL",
        "SWARM_LEARNING_RATE",
        "SWARM_LOGIN_URL",
        "SWARM_LORA_RANK",
        "SWARM_LOSS_TYPE",
        "SWARM_MAX_COMPLETION_LENGTH",
        "SWARM_MAX_GRAD_NORM",
        "SWARM_MODEL",
        "SWARM_NODE_NAME",
        "SWARM_NUM_EXTERNAL",
        "SWARM_NUM_GENERATIONS",
        "SWARM_NUM_ITERATIONS",
        "SWARM_NUM_QUESTIONS",
        "SWARM_PLAY_LENGTH_NORMALISED",
        "SWARM_PLAY_MARKET",
        "SWARM_SCALE_REWARDS",
        "SWARM_SEED",
        "SWARM_STATE_DIR",
        "SWARM_STOP_STRINGS",
        "SWARM_SUBMIT_SECONDS",
        "SWARM_TASKS",
        "SWARM_TEMPERATURE",
        "SWARM_TENSORBOARD",
        "SWARM_TOP_K",
        "SWARM_TOP_P",
        "SWARM_TRAINER",
        "SWARM_TRL_CONFIG",
        "SWARM_WEIGHT_DECAY",
        # extra peers
        "SWARM_PEER_KEYS_DIR",
        "SWARM_PEER_STATE_DIR",
        # login service
        "SWARM_ACCESS",
        "SWARM_API_PORT",
        "SWARM_HTTPS_PORT",
        "SWARM_HTTPS_PUBLISHED_PORT",
        "SWARM_DROP_IN",
        "SWARM_HTTP_PORT",
        "SWARM_HUB_URL",
        "SWARM_KEYS_DIR",
        "SWARM_LOGIN",
        "SWARM_LOGIN_PUBLISHED_PORT",
        "SWARM_LOGIN_RUN_DIR",
        "SWARM_MAX_FEE_GWEI",
        "SWARM_PUBLIC_URL",
        "SWARM_UNLOCK_SECRET_FILE",
        # exporter
        "SWARM_EXPORTER_CACHE_SECONDS",
        "SWARM_EXPORTER_CHAIN_SECONDS",
        "SWARM_EXPORTER_FORGET_SECONDS",
        "SWARM_EXPORTER_HOST",
        "SWARM_EXPORTER_PORT",
    }
)

KNOWN_NAMES = PROCESS_NAMES | COMPOSE_NAMES
