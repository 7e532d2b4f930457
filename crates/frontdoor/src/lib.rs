//! Sockets and shapes: TLS, HTTPS routes, MQTT, and the tables that map errors to each protocol.
