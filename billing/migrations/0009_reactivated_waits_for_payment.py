"""What is reactivated waits for its first payment, as what is new does."""

from django.db import migrations

GUARD = """CREATE OR REPLACE FUNCTION billing_subscription_status_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN (
        ('active', 'canceled'),
        ('active', 'past_due'),
        ('active', 'paused'),
        ('canceled', 'incomplete'),
        ('incomplete', 'active'),
        ('incomplete', 'canceled'),
        ('incomplete', 'incomplete_expired'),
        ('past_due', 'active'),
        ('past_due', 'canceled'),
        ('past_due', 'unpaid'),
        ('paused', 'active'),
        ('paused', 'canceled'),
        ('scheduled', 'active'),
        ('scheduled', 'canceled'),
        ('scheduled', 'incomplete'),
        ('scheduled', 'trialing'),
        ('trialing', 'active'),
        ('trialing', 'canceled'),
        ('trialing', 'past_due'),
        ('unpaid', 'active'),
        ('unpaid', 'canceled')
    ) THEN
        RAISE EXCEPTION 'subscription %: no command leads from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'billing_subscription_transition';
    END IF;
    RETURN NEW;
END $$"""
BEFORE = GUARD.replace("('canceled', 'incomplete')", "('canceled', 'active')")


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_billing_entity_is_known")]

    operations = [migrations.RunSQL(GUARD, BEFORE)]
