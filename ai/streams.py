"""The stream `ask`: an answer as it is written.

`delta` (words, before they are checked), `citation` for each, `done` with the whole question as the API shows it; or
`error` with the problem: words that came before it are not to be believed then.
Whoever closes the stream takes nothing back: the answer is finished in its thread, kept, and paid for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from ai.api.serializers import QuestionSerializer
from ai.models import Question
from ai.selectors import questions as selectors
from ai.services import questions
from core import clock, ids
from core.errors import NotFound
from core.streams import Message, Reader, in_thread, stream

NAME: Final = "ask"
_MISSING: Final = "There is no such question, or you may not see it."


def _question(reader: Reader) -> Question:
    """Return the question that the ticket names. Raises NotFound, also for another's."""
    try:
        key = ids.decode(Question.id_prefix, str(reader.parameters.get("question_id", "")))
    except ids.MalformedId:
        raise NotFound(_MISSING) from None
    found = selectors.own(reader.actor).filter(pk=key).first()
    if found is None:
        raise NotFound(_MISSING)
    return found


def _check(reader: Reader) -> None:
    _question(reader)


@stream(NAME, check=_check, parameters={"question_id"})
async def source(reader: Reader) -> AsyncIterator[Message]:
    """Answer the question once, telling its words as they come; one that is answered is told whole."""
    question = await in_thread(_question, reader)
    if not question.is_open and question.answer:
        yield _done(question)
        return
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[str] = asyncio.Queue()

    def hear(words: str) -> None:
        with suppress(RuntimeError):  # the process is ending; the answer is kept all the same
            loop.call_soon_threadsafe(heard.put_nowait, words)

    def answer() -> Question:
        return questions.answer(actor=reader.actor, question=question, now=clock.now(), hear=hear)

    # A task of its own: it goes on when the reader leaves.
    work = asyncio.create_task(in_thread(answer))
    work.add_done_callback(lambda task: task.cancelled() or task.exception())
    async for words in _until(work, heard):
        yield Message(event="delta", data={"text": words})
    answered = await asyncio.shield(work)
    for citation in answered.citations:
        yield Message(event="citation", data=citation)
    yield _done(answered)


async def _until(work: asyncio.Task[Question], heard: asyncio.Queue[str]) -> AsyncIterator[str]:
    """Yield what is heard until the work is done and nothing is left."""
    while True:
        listening = asyncio.ensure_future(heard.get())
        await asyncio.wait({listening, work}, return_when=asyncio.FIRST_COMPLETED)
        if listening.done():
            yield listening.result()
            continue
        listening.cancel()
        while not heard.empty():
            yield heard.get_nowait()
        return


def _done(question: Question) -> Message:
    return Message(id=question.public_id, event="done", data=QuestionSerializer.represent(question))
