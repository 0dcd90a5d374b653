"""`manage.py ask`: ask the assistant as somebody, from the terminal."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.actors import actor_of_user
from accounts.models import User
from ai.models import Question
from ai.services import questions
from core import clock
from core.errors import AppError
from core.ids import new_id

_SHOWN = (
    "status", "answer", "is_grounded", "citations", "provider", "model", "latency_ms", "tokens_in", "tokens_out",
    "cost_micro", "currency",
)  # fmt: skip


class Command(BaseCommand):
    help = "Ask the assistant, as one person and with what that person may see. Exit code 1 when there is no answer."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("question", help="What to ask.")
        parser.add_argument("--as", dest="email", required=True, help="The e-mail address of who asks.")
        parser.add_argument("--json", action="store_true", help="Print answer, citations and usage as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"], is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active person {options['email']}.")
        hear = None if options["json"] else self._say
        try:
            question = questions.ask(
                actor=actor_of_user(user),
                text=options["question"],
                operation_key=f"command:{new_id().hex}",
                now=clock.now(),
                hear=hear,
            )
        except AppError as error:
            raise CommandError(f"{error.code}: {error.detail}") from error
        if options["json"]:
            self.stdout.write(json.dumps(_payload(question), ensure_ascii=False))
            return
        self.stdout.write("\n")
        for line in dict.fromkeys(f"[{one['number']}] {one['title']}  {one['url']}" for one in question.citations):
            self.stdout.write(line)
        self.stdout.write(
            f"{question.provider} ({question.model}), {question.latency_ms} ms, {question.tokens_in} tokens in, "
            f"{question.tokens_out} out, {question.cost_micro} millionths of {question.currency}"
        )

    def _say(self, words: str) -> None:
        self.stdout.write(words, ending="")
        self.stdout.flush()


def _payload(question: Question) -> dict[str, Any]:
    return {
        "id": question.public_id,
        "question": question.text,
        **{name: getattr(question, name) for name in _SHOWN},
    }
