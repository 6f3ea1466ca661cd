"""Finance tables: trades and quotes as delivered (bronze), cleaned (silver), and bars and features for models (gold).

A delivery is what one source says about one instrument and one of its own days: (source, instrument_id, delivery_date,
delivery_part). Bronze is partitioned by delivery_date, silver and gold by event_date, the UTC day of the event itself.
"""

from __future__ import annotations

from lakehouse.tables.columns import INGESTED_AT, REASON_COLUMNS, SOURCE_COLUMNS
from lakehouse.tables.model import Column, Table

PRICE = "decimal(18,8)"
SIZE = "decimal(18,8)"
VOLUME = "decimal(28,8)"

QUOTE_CURRENCY = "quote currency"
BASE_UNIT = "base unit"
"""Units of prices and of quantities: which currency, coin or share it is depends on the instrument."""

INSTRUMENT_ID = Column("instrument_id", "string", "Venue-qualified symbol, e.g. BTCUSDT.BINANCE.", has_few_values=True)
EVENT_DATE = Column("event_date", "date", "UTC day of the event.", has_few_values=True)

DELIVERY_COLUMNS = (
    Column("source", "string", "Name of the source that read the file, e.g. binance_trades.", has_few_values=True),
    INSTRUMENT_ID,
    Column(
        "delivery_date",
        "date",
        "Day of the delivery: the file's own day, in the publisher's calendar.",
        has_few_values=True,
    ),
    Column(
        "delivery_part",
        "string",
        "Part of a day that comes in several files; empty where a day is one file.",
        has_few_values=True,
    ),
    Column(
        "event_date",
        "date",
        "UTC day of the event; the delivery's day where the time is unreadable or more than a day away.",
        has_few_values=True,
    ),
    Column("ts_event", "timestamp", "Exchange time, UTC, microseconds; null where unreadable.", nullable=True),
    Column(
        "sequence",
        "bigint",
        "Order of the row within its instrument's delivery day: part * 10^14 + member index * 10^10 + line.",
        minimum=1,
    ),
)

RAW_LINE = Column(
    "raw_line",
    "string",
    "The whole line, only where it could not be split into its fields or names no instrument.",
    nullable=True,
    has_few_values=True,
)
PRICE_DIVISOR = Column(
    "price_divisor",
    "int",
    "What the file's prices are to be divided by (LEAN equities: 10000).",
    minimum=1,
    has_few_values=True,
)

RAW_TRADE_COLUMNS = (
    Column("raw_time", "string", "Time field as the file has it.", nullable=True),
    Column("raw_trade_id", "string", "Trade id as the file has it; null where the feed has none.", nullable=True),
    Column("raw_price", "string", "Price as the file has it, before price_divisor.", nullable=True),
    Column("raw_size", "string", "Size as the file has it.", nullable=True),
    Column("raw_side", "string", "Side field as the file has it.", nullable=True, has_few_values=True),
    Column("raw_exchange", "string", "Exchange code as the file has it.", nullable=True, has_few_values=True),
    Column(
        "raw_conditions",
        "string",
        "Sale conditions as the file has them (LEAN: hex text).",
        nullable=True,
        has_few_values=True,
    ),
    Column(
        "raw_suspicious",
        "string",
        "The vendor's suspicious mark as the file has it.",
        nullable=True,
        has_few_values=True,
    ),
    RAW_LINE,
)

AGGRESSOR_SIDE = Column(
    "aggressor_side",
    "string",
    "Side of the order that took liquidity; null where the feed does not say.",
    nullable=True,
    allowed=("buy", "sell"),
    has_few_values=True,
)

BRONZE_TRADES = Table(
    layer="bronze",
    name="trades",
    doc="Every line of every accepted trade file, as the file said it.",
    columns=(*DELIVERY_COLUMNS, AGGRESSOR_SIDE, PRICE_DIVISOR, *RAW_TRADE_COLUMNS, *SOURCE_COLUMNS),
    primary_key=("delivery_date", "instrument_id", "_source_sha256", "_source_member", "_source_line"),
    partitioned_by=("delivery_date",),
    replaced_by="delivery_date",
)

RAW_QUOTE_COLUMNS = (
    Column("raw_time", "string", "Time field as the file has it.", nullable=True),
    Column("raw_bid_price", "string", "Bid price as the file has it, before price_divisor.", nullable=True),
    Column("raw_bid_size", "string", "Bid size as the file has it.", nullable=True),
    Column("raw_ask_price", "string", "Ask price as the file has it, before price_divisor.", nullable=True),
    Column("raw_ask_size", "string", "Ask size as the file has it.", nullable=True),
    Column("raw_exchange", "string", "Exchange code as the file has it.", nullable=True, has_few_values=True),
    Column("raw_conditions", "string", "Quote conditions as the file has them.", nullable=True, has_few_values=True),
    Column(
        "raw_suspicious",
        "string",
        "The vendor's suspicious mark as the file has it.",
        nullable=True,
        has_few_values=True,
    ),
    RAW_LINE,
)

BRONZE_QUOTES = Table(
    layer="bronze",
    name="quotes",
    doc="Every line of every accepted quote file, as the file said it.",
    columns=(*DELIVERY_COLUMNS, PRICE_DIVISOR, *RAW_QUOTE_COLUMNS, *SOURCE_COLUMNS),
    primary_key=("delivery_date", "instrument_id", "_source_sha256", "_source_member", "_source_line"),
    partitioned_by=("delivery_date",),
    replaced_by="delivery_date",
)

SILVER_LINEAGE = (
    Column("source", "string", "Name of the source that read the file.", has_few_values=True),
    Column("delivery_date", "date", "Day of the delivery that brought the row.", has_few_values=True),
    *SOURCE_COLUMNS,
)

SILVER_TRADES = Table(
    layer="silver",
    name="trades",
    doc="One row per exchange trade, typed, ordered and deduplicated.",
    columns=(
        INSTRUMENT_ID,
        EVENT_DATE,
        Column("ts_event", "timestamp", "Exchange time of the trade, UTC, microseconds."),
        Column("sequence", "bigint", "Order among equal times: the trade id where it is a number, else file order."),
        Column("trade_id", "string", "The exchange's id; null where the feed has none.", nullable=True),
        Column("price", PRICE, "Trade price in the quote currency.", minimum=0, exclusive_minimum=True),
        Column("size", SIZE, "Traded quantity in the base unit.", minimum=0, exclusive_minimum=True),
        AGGRESSOR_SIDE,
        Column("exchange", "string", "Exchange code of the feed.", nullable=True),
        Column("conditions", "string", "Sale conditions of the feed, as text.", nullable=True),
        Column("is_suspicious", "boolean", "The vendor marks the print as suspicious."),
        Column(
            "is_outlier",
            "boolean",
            "The price is far from the median of the trades before it (rule in transforms/finance/outliers.py).",
        ),
        *SILVER_LINEAGE,
    ),
    primary_key=("event_date", "instrument_id", "delivery_date", "sequence"),
    partitioned_by=("event_date",),
    sorted_by=("instrument_id", "ts_event", "sequence"),
    replaced_by="event_date",
)

SILVER_TRADES_REJECTED = Table(
    layer="silver",
    name="trades_rejected",
    doc="Every trade line that broke a rule, as the file said it, with the reason.",
    columns=(*DELIVERY_COLUMNS, *REASON_COLUMNS, AGGRESSOR_SIDE, PRICE_DIVISOR, *RAW_TRADE_COLUMNS, *SOURCE_COLUMNS),
    primary_key=("delivery_date", "instrument_id", "_source_sha256", "_source_member", "_source_line"),
    partitioned_by=("delivery_date", "event_date"),
    sorted_by=("instrument_id", "sequence"),
    replaced_by="event_date",
    may_be_empty=True,
)

SILVER_QUOTES = Table(
    layer="silver",
    name="quotes",
    doc="One row per quote, typed and ordered; a side that the row does not update is null.",
    columns=(
        INSTRUMENT_ID,
        EVENT_DATE,
        Column("ts_event", "timestamp", "Exchange time of the quote, UTC, microseconds."),
        Column("sequence", "bigint", "Order among equal times: file order."),
        Column(
            "bid_price",
            PRICE,
            "Best bid; null where the row does not update it.",
            nullable=True,
            minimum=0,
            exclusive_minimum=True,
        ),
        Column("bid_size", SIZE, "Size at the bid; null where the feed has none.", nullable=True, minimum=0),
        Column(
            "ask_price",
            PRICE,
            "Best ask; null where the row does not update it.",
            nullable=True,
            minimum=0,
            exclusive_minimum=True,
        ),
        Column("ask_size", SIZE, "Size at the ask; null where the feed has none.", nullable=True, minimum=0),
        Column("mid_price", "decimal(20,9)", "(bid + ask) / 2; null for a one-sided row.", nullable=True, minimum=0),
        Column("spread_bps", "double", "(ask - bid) / mid * 10^4; null for a one-sided row.", nullable=True, minimum=0),
        Column("exchange", "string", "Exchange code of the feed.", nullable=True),
        Column("conditions", "string", "Quote conditions of the feed, as text.", nullable=True),
        Column("is_suspicious", "boolean", "The vendor marks the quote as suspicious."),
        *SILVER_LINEAGE,
    ),
    primary_key=("event_date", "instrument_id", "delivery_date", "sequence"),
    partitioned_by=("event_date",),
    sorted_by=("instrument_id", "ts_event", "sequence"),
    replaced_by="event_date",
)

SILVER_QUOTES_REJECTED = Table(
    layer="silver",
    name="quotes_rejected",
    doc="Every quote line that broke a rule, as the file said it, with the reason.",
    columns=(*DELIVERY_COLUMNS, *REASON_COLUMNS, PRICE_DIVISOR, *RAW_QUOTE_COLUMNS, *SOURCE_COLUMNS),
    primary_key=("delivery_date", "instrument_id", "_source_sha256", "_source_member", "_source_line"),
    partitioned_by=("delivery_date", "event_date"),
    sorted_by=("instrument_id", "sequence"),
    replaced_by="event_date",
    may_be_empty=True,
)

GOLD_INSTRUMENTS = Table(
    layer="gold",
    name="instruments",
    doc="The instrument reference: what each instrument is and when it trades.",
    columns=(
        INSTRUMENT_ID,
        Column("symbol", "string", "Symbol at the venue."),
        Column("venue", "string", "Where it trades."),
        Column("asset_class", "string", "What it is.", allowed=("crypto", "equity", "future", "forex", "cfd", "other")),
        Column(
            "currency",
            "string",
            "Currency of its prices, ISO 4217 or the exchange's code; null where unknown.",
            nullable=True,
        ),
        Column("calendar", "string", "Session calendar, as exchange_calendars names it; 24/7 never closes."),
        INGESTED_AT,
    ),
    primary_key=("instrument_id",),
    sorted_by=("instrument_id",),
)

GOLD_BARS_1M = Table(
    layer="gold",
    name="bars_1m",
    doc="One-minute bars per instrument; inside a session the grid is complete.",
    columns=(
        INSTRUMENT_ID,
        EVENT_DATE,
        Column("bar_start", "timestamp", "Start of the minute, UTC."),
        Column("open", PRICE, "First price; outliers left out.", minimum=0, exclusive_minimum=True),
        Column("high", PRICE, "Highest price; outliers left out.", minimum=0, exclusive_minimum=True),
        Column("low", PRICE, "Lowest price; outliers left out.", minimum=0, exclusive_minimum=True),
        Column("close", PRICE, "Last price; outliers left out.", minimum=0, exclusive_minimum=True),
        Column("volume", VOLUME, "Traded quantity; outliers counted.", minimum=0),
        Column("trade_count", "bigint", "Trades in the minute; outliers counted.", minimum=0),
        Column(
            "vwap",
            PRICE,
            "Volume-weighted price; outliers left out; the close where filled.",
            minimum=0,
            exclusive_minimum=True,
        ),
        Column("outlier_count", "bigint", "Trades in the minute that are flagged as outliers.", minimum=0),
        Column("is_filled", "boolean", "No usable trade in the minute: prices are the last close."),
        Column(
            "minutes_since_open",
            "int",
            "Minutes since the session's start; null outside a session.",
            nullable=True,
            minimum=0,
        ),
        INGESTED_AT,
    ),
    primary_key=("instrument_id", "bar_start"),
    partitioned_by=("event_date",),
    sorted_by=("instrument_id", "bar_start"),
    replaced_by="event_date",
)

GOLD_TICK_FEATURES = Table(
    layer="gold",
    name="tick_features",
    doc="Indicators per one-minute bar, carried over midnight; null until warm.",
    columns=(
        INSTRUMENT_ID,
        EVENT_DATE,
        Column("bar_start", "timestamp", "Start of the minute, UTC."),
        Column(
            "close",
            "double",
            "Close of the bar, in the quote currency.",
            QUOTE_CURRENCY,
            minimum=0,
            exclusive_minimum=True,
        ),
        Column(
            "volume", "double", "Traded quantity of the bar, which volume_zscore_30 is made from.", BASE_UNIT, minimum=0
        ),
        Column(
            "log_return",
            "double",
            "ln(close / previous close); null on the first bar, also after 10 days of silence.",
            nullable=True,
        ),
        Column("sma_20", "double", "Mean of the last 20 closes.", QUOTE_CURRENCY, nullable=True, minimum=0),
        Column("sma_50", "double", "Mean of the last 50 closes.", QUOTE_CURRENCY, nullable=True, minimum=0),
        Column("ema_12", "double", "Exponential mean, span 12.", QUOTE_CURRENCY, nullable=True, minimum=0),
        Column("ema_26", "double", "Exponential mean, span 26.", QUOTE_CURRENCY, nullable=True, minimum=0),
        Column(
            "macd",
            "double",
            "MACD 12/26/9 as TA-Lib has it; ema_12 - ema_26 once its seed has faded (200 bars).",
            QUOTE_CURRENCY,
            nullable=True,
        ),
        Column("macd_signal", "double", "Exponential mean of macd, span 9.", QUOTE_CURRENCY, nullable=True),
        Column("macd_histogram", "double", "macd - macd_signal.", QUOTE_CURRENCY, nullable=True),
        Column(
            "rsi_14",
            "double",
            "Relative strength index, Wilder, 14 bars; 0 where nothing moved.",
            nullable=True,
            minimum=0,
            maximum=100,
        ),
        Column(
            "bollinger_upper", "double", "sma_20 + 2 population standard deviations.", QUOTE_CURRENCY, nullable=True
        ),
        Column(
            "bollinger_lower", "double", "sma_20 - 2 population standard deviations.", QUOTE_CURRENCY, nullable=True
        ),
        Column(
            "realized_volatility_30",
            "double",
            "Root of the sum of the last 30 squared log returns.",
            nullable=True,
            minimum=0,
        ),
        Column(
            "volume_zscore_30",
            "double",
            "Volume against mean and population deviation of the last 30 bars; null where equal.",
            nullable=True,
        ),
        Column(
            "minutes_since_open",
            "int",
            "Minutes since the session's start; null outside a session.",
            nullable=True,
            minimum=0,
        ),
        Column("is_filled", "boolean", "The bar had no usable trade."),
        Column(
            "_carry",
            "array<double>",
            "State after this bar, on the instrument's last bar of the day only: what the next day starts from.",
            nullable=True,
        ),
        INGESTED_AT,
    ),
    primary_key=("instrument_id", "bar_start"),
    partitioned_by=("event_date",),
    sorted_by=("instrument_id", "bar_start"),
    replaced_by="event_date",
)

GOLD_VOLUME_PROFILE_1D = Table(
    layer="gold",
    name="volume_profile_1d",
    doc="Volume by price bin, instrument and UTC day, with the point of control and the 70 % value area.",
    columns=(
        INSTRUMENT_ID,
        EVENT_DATE,
        Column("bin_index", "int", "Bin from the day's low, from 0.", minimum=0),
        Column("price_low", PRICE, "Lower edge of the bin, inclusive.", minimum=0),
        Column("price_high", PRICE, "Upper edge of the bin, exclusive but in the last.", minimum=0),
        Column("volume", VOLUME, "Quantity traded in the bin.", minimum=0),
        Column("trade_count", "bigint", "Trades in the bin.", minimum=0),
        Column("is_point_of_control", "boolean", "The bin with the most volume; the lowest of equals."),
        Column("is_in_value_area", "boolean", "Belongs to the bins around it that hold 70 % of the volume."),
        INGESTED_AT,
    ),
    primary_key=("event_date", "instrument_id", "bin_index"),
    partitioned_by=("event_date",),
    sorted_by=("instrument_id", "bin_index"),
    replaced_by="event_date",
)

GOLD_RETURN_CORRELATIONS_1D = Table(
    layer="gold",
    name="return_correlations_1d",
    doc="Pearson correlation of two instruments' one-minute log returns within one UTC day.",
    columns=(
        EVENT_DATE,
        Column("instrument_id_a", "string", "First instrument, before the second in text order."),
        Column("instrument_id_b", "string", "Second instrument."),
        Column("pair_count", "bigint", "Minutes that both have a return for.", minimum=1),
        Column(
            "correlation",
            "double",
            "Pearson correlation; null where a side does not move or pairs are fewer than 2.",
            nullable=True,
            minimum=-1,
            maximum=1,
        ),
        INGESTED_AT,
    ),
    primary_key=("event_date", "instrument_id_a", "instrument_id_b"),
    partitioned_by=("event_date",),
    sorted_by=("instrument_id_a", "instrument_id_b"),
    replaced_by="event_date",
    may_be_empty=True,
)

GOLD_TICK_PREDICTIONS = Table(
    layer="gold",
    name="tick_predictions",
    doc="Forecasts of the return over the next bars per model version, instrument, bar and horizon.",
    columns=(
        INSTRUMENT_ID,
        Column("event_date", "date", "UTC day of bar_start.", has_few_values=True),
        Column(
            "bar_start", "timestamp", "Start of the bar at whose end the forecast is made, UTC: nothing later was used."
        ),
        Column("horizon", "int", "Bars ahead that the forecast reaches.", minimum=1),
        Column("forecast_log_return", "double", "Forecast of ln(close that many bars later / close of the bar)."),
        Column("model_name", "string", "Registered model, e.g. tick_gru."),
        Column("model_version", "int", "Its version.", minimum=1),
        Column("snapshot_id", "bigint", "Snapshot of gold.tick_features that the features were read at."),
        Column("made_at", "timestamp", "When the run that published the forecast began, UTC."),
        Column("_source_sha256", "string", "SHA-256 of the file of forecasts, hex.", has_few_values=True),
        INGESTED_AT,
    ),
    primary_key=("model_name", "model_version", "instrument_id", "bar_start", "horizon"),
    partitioned_by=("event_date",),
    sorted_by=("instrument_id", "bar_start", "horizon"),
    replaced_by="event_date",
)
