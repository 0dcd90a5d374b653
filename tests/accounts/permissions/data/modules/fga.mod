schema: "1.2"
contents:
  - people.fga
  - documents.fga
