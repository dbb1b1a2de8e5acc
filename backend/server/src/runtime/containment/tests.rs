//! Containment against a database.
