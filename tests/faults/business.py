"""A company at work: people who enter, rename and bill customers, by the services, until they are stopped."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from django.db import connections

from accounts.models import Organization
from billing.models import BillingEntity, Price
from billing.services import customers, products, subscribing
from billing.services.beginnings import Line
from core import clock
from core.actor import SYSTEM, Actor
from core.ids import new_id

_REST_SECONDS = 0.4  # between two stories: they shall last as long as there is shooting
CARDS = ("tok_success", "tok_success", "tok_success", "tok_card_declined")


@dataclass
class Business:
    """`people` threads that tell stories until `stop`, at most `most`."""

    actor: Actor
    organization: Organization
    entity: BillingEntity
    price: Price
    people: int = 3
    most: int = 300
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._begun = 0
        self._threads = [threading.Thread(target=self._live, name=f"clerk-{n}") for n in range(self.people)]

    def start(self) -> Business:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> int:
        """Let everybody end the story that they are in; return how many were told."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return min(self._begun, self.most)

    def _live(self) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    self._begun += 1
                    number = self._begun
                if number > self.most:
                    return
                self._story(number)
                time.sleep(_REST_SECONDS)
        except Exception as fault:
            self.faults.append(f"{threading.current_thread().name}: {fault!r}")
        finally:
            connections.close_all()

    def _story(self, number: int) -> None:
        """A customer comes, subscribes and pays (or cannot), and is called otherwise twice meanwhile; each fifth time a
        product comes and goes out of sale."""
        customer = customers.create(
            actor=self.actor, organization=self.organization, billing_entity=self.entity, name=f"Customer {number}"
        )
        customers.add_payment_method(actor=self.actor, customer=customer, provider_reference=CARDS[number % len(CARDS)])
        customer = customers.update(actor=self.actor, customer=customer, changes={"name": f"Customer {number} & Son"})
        subscribing.subscribe(
            actor=self.actor,
            customer=customer,
            lines=[Line(self.price)],
            operation_key=new_id().hex,
            now=clock.now(),
        )
        customers.update(actor=self.actor, customer=customer, changes={"name": f"Customer {number} & Daughters"})
        if number % 5 == 0:
            product = products.create(actor=SYSTEM, name=f"Offer {number}")
            products.update(actor=SYSTEM, product=product, changes={"is_active": False, "name": f"Old offer {number}"})
