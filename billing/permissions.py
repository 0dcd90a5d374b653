"""What may be done in billing, and by whom."""

from __future__ import annotations

from core.access import BILLING, EVERYONE, Permission

# Who sells
BILLING_ENTITY_MANAGE = Permission("billing.billing_entity.manage", "Set up legal persons.")

# Catalogue: everyone signed in sees what is listed; staff write.
PRODUCT_MANAGE = Permission("billing.product.manage", "Create and change products.")
PRICE_MANAGE = Permission("billing.price.manage", "Create and change prices.")

# Customers
CUSTOMER_VIEW = Permission("billing.customer.view", "See customers.", EVERYONE)
CUSTOMER_CREATE = Permission("billing.customer.create", "Create customers.", BILLING)
CUSTOMER_EDIT = Permission("billing.customer.edit", "Change customers.", BILLING)
CUSTOMER_IMPORT = Permission("billing.customer.import", "Import customers from a file.")
PAYMENT_METHOD_VIEW = Permission("billing.payment_method.view", "See payment methods.", EVERYONE)
PAYMENT_METHOD_MANAGE = Permission("billing.payment_method.manage", "Add and remove payment methods.", BILLING)

# Subscriptions
SUBSCRIPTION_VIEW = Permission("billing.subscription.view", "See subscriptions.", EVERYONE)
SUBSCRIPTION_CREATE = Permission("billing.subscription.create", "Subscribe.", BILLING)
SUBSCRIPTION_CHANGE_PLAN = Permission("billing.subscription.change_plan", "Change the plan.", BILLING)
SUBSCRIPTION_CANCEL = Permission("billing.subscription.cancel", "Cancel, and take a cancellation back.", BILLING)
SUBSCRIPTION_PAUSE = Permission("billing.subscription.pause", "Pause and resume.", BILLING)
SUBSCRIPTION_REACTIVATE = Permission("billing.subscription.reactivate", "Reactivate.", BILLING)
SUBSCRIPTION_SUSPEND = Permission("billing.subscription.suspend", "Suspend access, and grant it again.")

# Figures
METRICS_VIEW = Permission("billing.metrics.view", "See the business figures.")

# Invoices, payments, refunds
INVOICE_VIEW = Permission("billing.invoice.view", "See invoices.", EVERYONE)
INVOICE_FINALIZE = Permission("billing.invoice.finalize", "Finalise a draft invoice.")
INVOICE_VOID = Permission("billing.invoice.void", "Void an invoice.")
INVOICE_WRITE_OFF = Permission("billing.invoice.write_off", "Give up collecting an invoice.")
PAYMENT_VIEW = Permission("billing.payment.view", "See payments.", EVERYONE)
PAYMENT_CREATE = Permission("billing.payment.create", "Pay an invoice.", BILLING)
REFUND_VIEW = Permission("billing.refund.view", "See refunds.", EVERYONE)
REFUND_CREATE = Permission("billing.refund.create", "Give back a payment or a part of it.")
RENEWAL_RUN = Permission("billing.renewal.run", "Renew what is due.")
