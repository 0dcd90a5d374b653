"""What may be done with the assistant, and by whom."""

from __future__ import annotations

from core.access import Permission

# Whoever is signed in may ask; an API key needs the scope. Questions and answers are for who asked, for nobody else.
QUESTION_ASK = Permission("ai.question.ask", "Ask the assistant, and read one's own questions.")
HELP_PAGE_PUBLISH = Permission("ai.help_page.publish", "Publish the help pages anew.")
