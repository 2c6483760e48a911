"""Tickets: a trained selection as a file of a few bits per connection, from which the weights come back."""

from slotjax.tickets.contents import Contents, Part, describe_ticket
from slotjax.tickets.from_bits import from_bits
from slotjax.tickets.load import Ticket, load_ticket
from slotjax.tickets.packed import Packed, unpack
from slotjax.tickets.save import LargeTicket, save_ticket

__all__ = [
    "Contents",
    "LargeTicket",
    "Packed",
    "Part",
    "Ticket",
    "describe_ticket",
    "from_bits",
    "load_ticket",
    "save_ticket",
    "unpack",
]
