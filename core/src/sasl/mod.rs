//! SASL mechanisms (RFC 4422), client and server side, without I/O.
