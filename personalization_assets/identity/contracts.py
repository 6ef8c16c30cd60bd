"""What the tables of this room promise. `identity.records` has its contract in its SQL file."""

import pandera.polars as pa
import polars as pl

SOURCE = "Name of the source the record came from"
RECORD = "The record's id in that source"
PROBABILITY = {"unit": "probability"}
CUSTOMER_ID = r"^c_[0-9a-f]{16}$"


def _about(key: list[str], grain: str, pii: bool = False, version: int = 1) -> dict[str, object]:
    return {
        "room": "identity",
        "key": key,
        "grain": grain,
        "version": version,
        "owner": "team:crm",
        "pii": pii,
    }


class IdentityModel(pa.DataFrameModel):
    """Trained models: how alike records of one person, of one household and of strangers are."""

    model_version: str = pa.Field(description="First 12 hex digits of the sha256 of settings_json")
    trained_as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Time of the run that trained it", metadata={"unit": "UTC"}
    )
    records: int = pa.Field(ge=0, description="Distinct records it was trained on")
    settings_json: str = pa.Field(
        description="The whole model; its key `splink` opens in Splink and Splink's charts"
    )
    is_current: bool = pa.Field(description="The one model that scores pairs now")
    notes: str = pa.Field(description="What the shop's data lacks and what stayed unlearnt")

    class Config:
        """Place of the table."""

        name = "model"
        metadata = _about(["model_version"], "one row per trained model")


class Matches(pa.DataFrameModel):
    """Scored pairs of records, with accounts and decisions; clustering reads nothing else."""

    source_l: str = pa.Field(description=SOURCE + ", left")
    record_id_l: str = pa.Field(description=RECORD + ", left; left sorts before right")
    source_r: str = pa.Field(description=SOURCE + ", right")
    record_id_r: str = pa.Field(description=RECORD + ", right")
    match_weight: float = pa.Field(
        description="Log2 odds of one person against strangers", metadata={"unit": "bits"}
    )
    match_probability: float = pa.Field(
        ge=0, le=1, description="That both are one person", metadata=PROBABILITY
    )
    household_probability: float = pa.Field(
        ge=0, le=1, description="That they are two people who live together", metadata=PROBABILITY
    )
    cause: str = pa.Field(
        isin=[
            "exact",
            "account",
            "decision",
            "model",
            "owner_l",
            "owner_r",
            "name_l",
            "name_r",
            "veto",
        ],
        description="exact: same description, or nothing beyond the account's other record; "
        "account: same account; decision: a person said so; model: scored; owner_l, owner_r: the "
        "left or right record uses the mailbox or device that is all the other one holds, and "
        "match_probability is the chance that it is theirs; name_l, name_r: the same where a name "
        "is all; veto: two values of what a person has one of",
    )
    on_its_own: bool = pa.Field(
        description="The pair shares a blocking rule and is possible, or needs no comparing; "
        "false: it is here because an account, a person or other pairs bring its records together"
    )
    model_version: str = pa.Field(description="Model that scored the pair")

    class Config:
        """Place of the table."""

        name = "matches"
        metadata = _about(
            ["source_l", "record_id_l", "source_r", "record_id_r"],
            "one row per pair of records that is possible, certain or inside one component",
            version=2,
        )


class Descriptions(pa.DataFrameModel):
    """Records as they were compared last: what the next run needs to look at changes only.

    Codes and letters here are the linking's own and may change with any version of it.
    """

    number: int = pa.Field(
        description="Name of the record in `lead`, `node`, `area` and `neighbourhood`"
    )
    source: str = pa.Field(description=SOURCE)
    record_id: str = pa.Field(description=RECORD)
    digest: int = pa.Field(description="Changes with anything that is read of the record")
    account_key: str = pa.Field(nullable=True, description="Shop account, '<system>:<id>'")
    first_name: str = pa.Field(nullable=True, description="Given names, as they are compared")
    first_canon: str = pa.Field(nullable=True, description="First of them, nicknames resolved")
    last_name: str = pa.Field(nullable=True, description="Family name, as it is compared")
    email: str = pa.Field(nullable=True, description="Mailbox, as it is compared")
    phone: str = pa.Field(nullable=True, description="Phone number, as it is compared")
    dob: str = pa.Field(nullable=True, description="Birth date, as it is compared")
    street: str = pa.Field(nullable=True, description="Street, as it is compared")
    house_no: str = pa.Field(nullable=True, description="House number")
    postcode: str = pa.Field(nullable=True, description="Postal code, as it is compared")
    city: str = pa.Field(nullable=True, description="Town, as it is compared")
    device: str = pa.Field(nullable=True, description="Device")
    more: str = pa.Field(nullable=True, description="Values that one_per_person reads, as JSON")
    lead: int = pa.Field(description="Record of the account that it is folded into, or itself")
    decided: bool = pa.Field(description="A person has decided about it")
    description: int = pa.Field(
        nullable=True, description="Equal for exact duplicates; null: compared by itself"
    )
    node: int = pa.Field(description="First record of its node, see `is_bare`")
    is_bare: bool = pa.Field(description="Its node is only a mailbox or a device, and not compared")
    is_faint: bool = pa.Field(description="Its node is only a name")
    junk_email: bool = pa.Field(description="The mailbox is ignored")
    junk_phone: bool = pa.Field(description="The phone is ignored")
    junk_dob: bool = pa.Field(description="The birth date is ignored")
    junk_device: bool = pa.Field(description="The device is ignored")
    is_handle: bool = pa.Field(description="The mailbox's local part restates nobody's name")
    area: int = pa.Field(
        description="Records that pairs connect which may make them one; linked anew together"
    )
    neighbourhood: int = pa.Field(
        description="Areas that pairs connect which may make them a household"
    )

    class Config:
        """Place of the table."""

        name = "descriptions"
        metadata = _about(
            ["source", "record_id"], "one row per record of the last run", pii=True, version=2
        )


class LinkRuns(pa.DataFrameModel):
    """What each run that published links has looked at, all records or what had changed."""

    run: int = pa.Field(ge=1, description="1, 2, 3, ...")
    as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Time of the run", metadata={"unit": "UTC"}
    )
    mode: str = pa.Field(
        isin=["full", "incremental"],
        description="full: all records; incremental: what changes can reach, with the same result",
    )
    reason: str = pa.Field(nullable=True, description="Why all records were looked at")
    records: int = pa.Field(ge=0, description="Records then")
    changed: int = pa.Field(
        nullable=True, ge=0, description="Records new, changed, gone or decided about"
    )
    relinked: int = pa.Field(ge=0, description="Records that were linked again")
    customers: int = pa.Field(
        nullable=True, ge=0, description="Customers then; null before it was written down"
    )
    largest: int = pa.Field(
        nullable=True,
        ge=0,
        description="Records of the customer with the most; null before it was written down",
    )
    conflicting: int = pa.Field(
        ge=0, description="Customers whose records hold first names that no one person has"
    )
    setup: str = pa.Field(description="Digest of model, settings and code")
    published: str = pa.Field(description="Digest of identity.links, to see that nobody changed it")

    class Config:
        """Place of the table."""

        name = "link_runs"
        metadata = _about(["run"], "one row per run that published links", version=2)


class Links(pa.DataFrameModel):
    """Whose record is it: every record of identity.records and its customer."""

    source: str = pa.Field(description=SOURCE)
    record_id: str = pa.Field(description=RECORD)
    customer_id: str = pa.Field(
        str_matches=CUSTOMER_ID, description="Stable id of the person; never reused"
    )
    household_id: str = pa.Field(
        description="Customers who live together share it; not stable when a household changes"
    )
    confidence: float = pa.Field(
        ge=0,
        le=1,
        description="Strongest pair that ties the record to another of its customer; 1 when alone",
        metadata=PROBABILITY,
    )
    linked_by: str = pa.Field(
        isin=["alone", "exact", "account", "decision", "model", "owner", "name"],
        description="What ties it: see identity.matches; alone: nothing else of this customer",
    )

    class Config:
        """Place of the table."""

        name = "links"
        metadata = _about(["source", "record_id"], "one row per source record")


class LinksStrict(pa.DataFrameModel):
    """How sure the links are: whose data may be shown to whom, and what is tied without a guess."""

    source: str = pa.Field(description=SOURCE)
    record_id: str = pa.Field(description=RECORD)
    customer_id: str = pa.Field(str_matches=CUSTOMER_ID, description="As in identity.links")
    strict_id: str = pa.Field(
        str_matches=r"^s_[0-9a-f]{16}$",
        description="Records of one customer that share it may be shown to each other: tied by "
        "pairs at least strict_threshold probable, with no improbable pair among them, and by "
        "all that certain_id is tied by. The "
        "customer's largest group keeps its id as long as the customer does",
    )
    certain_id: str = pa.Field(
        str_matches=r"^k_[0-9a-f]{16}$",
        description="Records of one customer that share it are tied by no probability: exact "
        "duplicates, one account, or a person's decision",
    )
    tied_by: str = pa.Field(
        isin=["alone", "exact", "account", "decision", "model"],
        description="Strongest tie to another record of its strict_id; alone: there is none",
    )
    confidence: float = pa.Field(
        ge=0,
        le=1,
        description="Of the tie; 1 where no model is behind it, and when alone",
        metadata=PROBABILITY,
    )
    model_version: str = pa.Field(description="Model whose probabilities these and the links are")

    class Config:
        """Place of the table."""

        name = "links_strict"
        metadata = _about(["source", "record_id"], "one row per source record")


class FormerIds(pa.DataFrameModel):
    """Retired customer ids that a record once had; identity.redirects reads it.

    A record that is erased takes its row with it.
    """

    source: str = pa.Field(description=SOURCE)
    record_id: str = pa.Field(description=RECORD)
    customer_id: str = pa.Field(
        str_matches=CUSTOMER_ID, description="Id that the record had when the id was retired"
    )

    class Config:
        """Place of the table."""

        name = "former_ids"
        metadata = _about(
            ["source", "record_id", "customer_id"], "one row per record and retired id it had"
        )


class Ledger(pa.DataFrameModel):
    """What happened to customer ids, run by run; rows are only ever added."""

    event_id: str = pa.Field(description="'e_' and 16 hex digits")
    as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Time of the run that changed it", metadata={"unit": "UTC"}
    )
    event: str = pa.Field(
        isin=["create", "merge", "split", "move", "retire"],
        description="create: new id for new records; merge: other_customer_id went into "
        "customer_id and is retired; split: customer_id is new, its records were "
        "other_customer_id's; move: records went from other_customer_id to customer_id; retire: "
        "the id's records are gone",
    )
    customer_id: str = pa.Field(description="The id the event is about")
    other_customer_id: str = pa.Field(
        nullable=True, description="Where the records were before, if with another id"
    )
    records: int = pa.Field(ge=1, description="Records concerned")
    cause: str = pa.Field(
        isin=["decision", "records gone", "new records", "new model", "matching"],
        description="What is behind it, the first that holds: decision: a person's verdict, or its "
        "withdrawal; records gone: the customer lost records to erasure; new records: the customer "
        "got some; new model: another one than in the run before; matching: changed contents, "
        "settings or code",
    )

    class Config:
        """Place of the table."""

        name = "ledger"
        metadata = _about(["event_id"], "one row per change of a customer id", version=2)


class ReviewQueue(pa.DataFrameModel):
    """Doubtful pairs and clusters for a person to decide on; answers go to identity.decisions."""

    item_id: str = pa.Field(description="'q_' and 16 hex digits, stable for the pair")
    kind: str = pa.Field(isin=["pair", "cluster"], description="What is doubtful")
    reason: str = pa.Field(description="Why it is here")
    source_l: str = pa.Field(description=SOURCE + ", left")
    record_id_l: str = pa.Field(description=RECORD + ", left")
    source_r: str = pa.Field(description=SOURCE + ", right")
    record_id_r: str = pa.Field(description=RECORD + ", right")
    customer_id: str = pa.Field(description="Customer of the left record as published now")
    match_probability: float = pa.Field(
        nullable=True, ge=0, le=1, description="Of the pair, if scored", metadata=PROBABILITY
    )
    records: int = pa.Field(ge=1, description="Distinct records involved")
    status: str = pa.Field(isin=["open", "decided"], description="decided: a decision binds it")

    class Config:
        """Place of the table."""

        name = "review_queue"
        metadata = _about(["item_id"], "one row per doubtful pair or cluster")


class Decisions(pa.DataFrameModel):
    """What people decided about pairs of records; they bind every run until withdrawn."""

    decision_id: str = pa.Field(description="Id of the decision, chosen by who wrote it")
    source_l: str = pa.Field(description=SOURCE + ", left")
    record_id_l: str = pa.Field(description=RECORD + ", left")
    source_r: str = pa.Field(description=SOURCE + ", right")
    record_id_r: str = pa.Field(description=RECORD + ", right")
    verdict: str = pa.Field(isin=["same", "different"], description="One person or two")
    author: str = pa.Field(nullable=True, description="Who decided")
    decided_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="When; the latest verdict on a pair counts",
        metadata={"unit": "UTC"},
    )
    reason: str = pa.Field(nullable=True, description="Why, in words")
    withdrawn_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="When it was withdrawn; null while it binds",
        metadata={"unit": "UTC"},
    )

    class Config:
        """Place of the table."""

        name = "decisions"
        metadata = _about(["decision_id"], "one row per decision")


class Blocklist(pa.DataFrameModel):
    """Identifiers that a user wants ignored in comparing records, from identity_blocklist.csv."""

    kind: str = pa.Field(
        isin=["email", "phone", "device", "dob"], description="What the value is; dob: birth date"
    )
    value: str = pa.Field(description="As the user wrote it; it is spelt like the records' later")
    reason: str = pa.Field(nullable=True, description="Why it says nothing about who somebody is")

    class Config:
        """Place of the table."""

        name = "blocklist"
        metadata = _about(["kind", "value"], "one row per ignored identifier", pii=True)


class Evaluation(pa.DataFrameModel):
    """How right the links are where the truth is known; empty where it is not."""

    metric: str = pa.Field(description="pair_precision, pair_recall, pair_f1, b_cubed_*, counts")
    value: float = pa.Field(ge=0, description="The metric's value")

    class Config:
        """Place of the table."""

        name = "evaluation"
        metadata = _about(["metric"], "one row per metric")
