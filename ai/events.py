"""What can have happened with the assistant. The question's words are the asker's own."""

from __future__ import annotations

from core.events import EventType

_WORDS = ("data.question",)

QUESTION_ANSWERED = EventType("ai.question.answered", "question", "A question was answered.", _WORDS)
QUESTION_FAILED = EventType("ai.question.failed", "question", "A question was not answered.", _WORDS)
QUESTION_RATED = EventType("ai.question.rated", "question", "Somebody said whether an answer helped.", ("data.note",))

HELP_PAGE_PUBLISHED = EventType("ai.help_page.published", "helppage", "A section of the help pages is new.")
HELP_PAGE_UPDATED = EventType("ai.help_page.updated", "helppage", "A section of the help pages has changed.")
HELP_PAGE_WITHDRAWN = EventType("ai.help_page.withdrawn", "helppage", "A section of the help pages is gone.")
