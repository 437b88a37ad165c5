# Settings of this installation: plain assignments, one a line; README.md beside this file explains each.
# All stand at their defaults. To change one, remove the # before it; `unionws check` validates the file.

# ------------------------------------------------------------------------------------------ Upstream

# GRAPHQL_ENDPOINT = "https://staging.graphql.union.build/v1/graphql"
# SOURCE = "indexer"
# POLL_INTERVAL = 500  # ms
# POLL_LIMIT = 100  # rows
# MAINNET_ONLY = False
# LAST_SORT_ORDER = ""
# OVERLAP_SECONDS = 15.0  # s
# UPDATES_PER_MINUTE = 12  # requests

# ---------------------------------------------------------------------------------------- Scheduling

# SPREAD_MS = 3000  # ms
# FUTURE_BUFFER_MS = 1000  # ms
# JITTER_MS = 500  # ms
# TRANSFER_AGE_THRESHOLD = 60.0  # s
# MAX_TRANSFERS_PER_FRAME = 5  # transfers

# ---------------------------------------------------------------------------------------- Statistics

# SHORT_WINDOW = "1m"
# CHART_INTERVAL = 5.0  # s
# BACKFILL_DAYS = 60  # days
# BACKFILL_PAUSE_MS = 250  # ms
# NODE_PROBES = True
# PROBE_PRIVATE_ADDRESSES = False

# ----------------------------------------------------------------------------------------- Processes

# EDGE_PROCESSES = 0

# ------------------------------------------------------------------------------------------- Clients

# HOST = ""
# PORT = 8080
# TRANSFER_FORM = "batch"
# MAX_MESSAGE_BYTES = 16384  # bytes

# -------------------------------------------------------------------------------------------- Limits

# MAX_CLIENTS = 100000
# MAX_CLIENTS_PER_IP = 1000
# MAX_HANDSHAKES_PER_IP = 2000  # per 10 s
# TRUSTED_PROXIES = ["127.0.0.0/8", "::1"]
# MAX_INBOUND_MESSAGES = 100  # per 10 s
# MAX_INBOUND_BYTES = 1048576  # bytes per 10 s
# MAX_FILTER_KEYS = 100
# MAX_FILTER_GROUPS = 100000
# MAX_ERRORS = 50  # messages
# MAX_BACKLOG_BYTES = 262144  # bytes
# MAX_BACKLOG_FRAMES = 1000  # frames
# SEND_BUFFER_BYTES = 65536  # bytes
# COMPRESSION_LEVEL = 6
# COMPRESS_FROM_BYTES = 512  # bytes
# PING_INTERVAL = 54  # s

# ------------------------------------------------------------------------------------------ Security

# ALLOWED_ORIGINS = []
# API_KEYS = []
# MAX_CLIENTS_PER_KEY = 0
# JWT_SECRET = ""
# JWT_PUBLIC_KEY = ""
# ADMIN_TOKEN = ""

# ------------------------------------------------------------------------------------------- History

# HISTORY_RING = 10000  # transfers
# STATE_DIR = "state"
# HISTORY_MAX_ROWS = 1000000  # transfers
# HISTORY_MAX_AGE = 7.0  # days

# ------------------------------------------------------------------------------------------- Plugins

# PLUGINS = []
# PLUGINS_DIR = "plugins"
# DISABLED_PLUGINS = []
# PLUGIN_TIMEOUT_MS = 200  # ms
# PLUGIN_MEMORY_MB = 100  # MB
# TRACE_HOOKS = False

# ---------------------------------------------------------------------------------------------- Logs

# LOG_FORMAT = "auto"
# LOG_LEVEL = "INFO"
# LOG_CONNECTIONS = False
