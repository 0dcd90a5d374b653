# The permission model of the product: one module for each app (see docs/how-to/permission-models.md).
schema: "1.2"
contents:
  - accounts/model.fga
  - ai/model.fga
  - audit/model.fga
  - billing/model.fga
  - core/model.fga
  - notifications/model.fga
