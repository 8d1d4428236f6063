"""What people see: one thin file a page. A page reads widgets, calls core and shows the answer."""
