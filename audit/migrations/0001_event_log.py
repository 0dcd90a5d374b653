"""The event log: a partitioned table that only grows, the queue of what is to be sealed, the sealed order."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

import core.ids
from core.migration_operations import AppendOnlyTriggers, OwnerFunction

EVENT_TABLE = """
CREATE TABLE audit_event (
    id uuid PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    type varchar(100) NOT NULL,
    schema_version smallint NOT NULL CHECK (schema_version >= 0),
    occurred_at timestamptz NOT NULL,
    actor_type varchar(20) NOT NULL,
    actor_id uuid,
    on_behalf_of_type varchar(20) NOT NULL,
    on_behalf_of_id uuid,
    organization_id uuid,
    subject_type varchar(50) NOT NULL,
    subject_id uuid NOT NULL,
    before jsonb,
    after jsonb,
    data jsonb NOT NULL,
    context jsonb NOT NULL,
    command_id uuid
) PARTITION BY RANGE (id);
CREATE TABLE audit_event_default PARTITION OF audit_event DEFAULT;
"""

# The transaction's number stands in the queue, indexed: the sealer takes what lies below the oldest running transaction.
# A table made to be emptied is vacuumed by its own measure.
QUEUE = """
ALTER TABLE audit_unsealed ADD COLUMN xid xid8 NOT NULL;
CREATE INDEX audit_unsealed_order ON audit_unsealed (xid, event_id);
ALTER TABLE audit_unsealed SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
CREATE FUNCTION audit_queue_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealed (event_id, xid) SELECT id, pg_current_xact_id() FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_event_queue AFTER INSERT ON audit_event
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION audit_queue_events();
"""

PARTITION_VARIABLES = """
    month timestamp; low uuid; high uuid; partition text; made integer := 0; is_blocked boolean;
"""
# Bounds are the smallest UUIDs of two months: 48 bits of milliseconds and zeros. A table is made beside and attached,
# since that locks the log's readers and writers least. What fell into the default partition stays there.
PARTITION_BODY = """
    PERFORM pg_advisory_xact_lock(hashtext('audit_make_partitions'));
    FOR ahead IN 0..months LOOP
        month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead);
        partition := 'audit_event_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        low := (lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
        high := (lpad(to_hex((extract(epoch FROM month + interval '1 month') * 1000)::bigint), 12, '0')
                 || repeat('0', 20))::uuid;
        SELECT EXISTS (SELECT FROM audit_event_default WHERE id >= low AND id < high) INTO is_blocked;
        CONTINUE WHEN is_blocked;
        EXECUTE format('CREATE TABLE %I (LIKE audit_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
        EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, low, high);
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT '
                       'EXECUTE FUNCTION core_refuse_change()', partition || '_no_truncate', partition);
        made := made + 1;
    END LOOP;
    RETURN made;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Follower",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[("running", "running"), ("parked", "parked")], default="running", max_length=10
                    ),
                ),
                ("failures", models.PositiveIntegerField(default=0)),
                ("retry_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.TextField(blank=True, default="")),
                ("moved_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "level", "index", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("level", models.PositiveSmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Position",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("event_id", models.UUIDField(unique=True)),
                ("leaf_hash", models.BinaryField(max_length=32)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Unsealed",
            fields=[
                ("event_id", models.UUIDField(primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name_plural": "unsealed",
                "db_table": "audit_unsealed",
            },
        ),
        migrations.CreateModel(
            name="Tree",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("size", models.BigIntegerField(default=0)),
                (
                    "peaks",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BinaryField(max_length=32), default=list, size=None
                    ),
                ),
                ("sealed_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="audit_tree_one_row")],
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(EVENT_TABLE, "DROP TABLE audit_event;")],
            state_operations=[
                migrations.CreateModel(
                    name="Event",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("type", models.CharField(max_length=100)),
                        ("schema_version", models.PositiveSmallIntegerField(default=1)),
                        ("occurred_at", models.DateTimeField()),
                        ("actor_type", models.CharField(max_length=20)),
                        ("actor_id", models.UUIDField(null=True)),
                        ("on_behalf_of_type", models.CharField(blank=True, default="", max_length=20)),
                        ("on_behalf_of_id", models.UUIDField(null=True)),
                        ("organization_id", models.UUIDField(null=True)),
                        ("subject_type", models.CharField(max_length=50)),
                        ("subject_id", models.UUIDField()),
                        ("before", models.JSONField(null=True)),
                        ("after", models.JSONField(null=True)),
                        ("data", models.JSONField(default=dict)),
                        ("context", models.JSONField(default=dict)),
                        ("command_id", models.UUIDField(null=True)),
                    ],
                    options={
                        "ordering": ["-id"],
                    },
                ),
            ],
        ),
        migrations.AddIndex("event", models.Index(fields=["subject_id", "-id"], name="audit_event_subject")),
        migrations.AddIndex(
            "event",
            models.Index(
                fields=["organization_id", "-id"],
                name="audit_event_organization",
                condition=models.Q(organization_id__isnull=False),
            ),
        ),
        migrations.AddIndex(
            "event",
            models.Index(
                fields=["actor_id", "-id"], name="audit_event_actor", condition=models.Q(actor_id__isnull=False)
            ),
        ),
        migrations.AddIndex("event", models.Index(fields=["type", "-id"], name="audit_event_type")),
        migrations.AddIndex("event", models.Index(fields=["command_id"], name="audit_event_command")),
        migrations.AddIndex("event", models.Index(models.F("context__request_id"), name="audit_event_request")),
        migrations.AddIndex(
            "event", django.contrib.postgres.indexes.BrinIndex(fields=["occurred_at"], name="audit_event_occurred")
        ),
        migrations.RunSQL(QUEUE, "DROP TRIGGER audit_event_queue ON audit_event; DROP FUNCTION audit_queue_events();"),
        AppendOnlyTriggers("audit_event"),
        migrations.RunSQL(
            "CREATE TRIGGER audit_event_default_no_truncate BEFORE TRUNCATE ON audit_event_default "
            "FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();",
            migrations.RunSQL.noop,
        ),
        OwnerFunction(
            "audit_make_partitions(months integer)",
            "integer",
            PARTITION_BODY,
            PARTITION_VARIABLES,
            "SET lock_timeout = '2s'",
        ),
        migrations.RunSQL("SELECT audit_make_partitions(6);", migrations.RunSQL.noop),
        AppendOnlyTriggers("audit_position"),
        AppendOnlyTriggers("audit_node"),
        migrations.RunSQL("INSERT INTO audit_tree (id, size, peaks) VALUES (1, 0, '{}');", migrations.RunSQL.noop),
    ]
