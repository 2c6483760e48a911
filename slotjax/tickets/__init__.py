"""Tickets: a trained selection as a file of a few bits per connection."""

from slotjax.tickets.tickets import Ticket, load_ticket, read_ticket, save_ticket

__all__ = ["Ticket", "load_ticket", "read_ticket", "save_ticket"]
