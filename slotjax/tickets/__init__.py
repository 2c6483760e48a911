"""Tickets: a trained selection as a file of a few bits per connection, from which the weights come back."""

from slotjax.tickets.load import Ticket, load_ticket, read_ticket
from slotjax.tickets.save import save_ticket

__all__ = ["Ticket", "load_ticket", "read_ticket", "save_ticket"]
