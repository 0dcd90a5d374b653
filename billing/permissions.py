"""What may be done in billing, and by whom."""

from __future__ import annotations

from core.access import Permission

# Who sells
BILLING_ENTITY_MANAGE = Permission("billing.billing_entity.manage", "Set up legal persons.")

# Catalogue: everyone signed in sees what is listed; staff write.
PRODUCT_MANAGE = Permission("billing.product.manage", "Create and change products.")
PRICE_MANAGE = Permission("billing.price.manage", "Create and change prices.")

# Customers
CUSTOMER_VIEW = Permission("billing.customer.view", "See customers.")
CUSTOMER_CREATE = Permission("billing.customer.create", "Create customers.")
CUSTOMER_EDIT = Permission("billing.customer.edit", "Change customers.")
CUSTOMER_IMPORT = Permission("billing.customer.import", "Import customers from a file.")
PAYMENT_METHOD_VIEW = Permission("billing.payment_method.view", "See payment methods.")
PAYMENT_METHOD_MANAGE = Permission("billing.payment_method.manage", "Add and remove payment methods.")

# Subscriptions
SUBSCRIPTION_VIEW = Permission("billing.subscription.view", "See subscriptions.")
SUBSCRIPTION_CREATE = Permission("billing.subscription.create", "Subscribe.")
SUBSCRIPTION_CHANGE_PLAN = Permission("billing.subscription.change_plan", "Change the plan.")
SUBSCRIPTION_CANCEL = Permission("billing.subscription.cancel", "Cancel, and take a cancellation back.")
SUBSCRIPTION_PAUSE = Permission("billing.subscription.pause", "Pause and resume.")
SUBSCRIPTION_REACTIVATE = Permission("billing.subscription.reactivate", "Reactivate.")
SUBSCRIPTION_SUSPEND = Permission("billing.subscription.suspend", "Suspend access, and grant it again.")

# Figures
METRICS_VIEW = Permission("billing.metrics.view", "See the business figures.")

# Invoices, payments, refunds
INVOICE_VIEW = Permission("billing.invoice.view", "See invoices.")
INVOICE_FINALIZE = Permission("billing.invoice.finalize", "Finalise a draft invoice.")
INVOICE_VOID = Permission("billing.invoice.void", "Void an invoice.")
INVOICE_WRITE_OFF = Permission("billing.invoice.write_off", "Give up collecting an invoice.")
PAYMENT_VIEW = Permission("billing.payment.view", "See payments.")
PAYMENT_CREATE = Permission("billing.payment.create", "Pay an invoice.")
REFUND_VIEW = Permission("billing.refund.view", "See refunds.")
REFUND_CREATE = Permission("billing.refund.create", "Give back a payment or a part of it.")
RENEWAL_RUN = Permission("billing.renewal.run", "Renew what is due.")
