//! The one place that knows every room: starts them in order and ends them in order.
