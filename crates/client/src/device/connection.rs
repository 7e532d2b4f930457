//! One MQTT connection of a device.
//!
//! A task owns the socket; [`Connection`] talks to it over bounded queues. When the connection ends,
//! everyone who waits gets the reason.

use super::dial::Dial;
use super::network::MQTT_PORT;
use bytes::{Bytes, BytesMut};
use ferrohub_model::clock::{Alarm, Clock, timeout};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{
    CONNECT_TIMEOUT_SECONDS, DEVICE_INCOMING_QUEUE, DEVICE_OUTGOING_QUEUE, MQTT_IN_FLIGHT, MQTT_PACKET_BYTES,
};
use ferrohub_wire::mqtt::{
    Connect, ConnectReturnCode, Decoder, Packet, Publish, QoS, SubAckCode, Subscribe, TopicFilter, encode,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::client::TlsStream;

/// Longest wait for an acknowledgement or an answer: ours.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Keep-alive that the device asks for, seconds: ours (hubs honour up to 1767).
const KEEP_ALIVE_SECONDS: u16 = 60;

/// Code of the error for a server that did not let the device in.
pub const REFUSED: &str = "ConnectionRefused";
/// Code of the error for what answers and is no MQTT server.
pub const NOT_MQTT: &str = "NotMqtt";

/// A refusal, with where a server of ours says why: the device itself is told nothing that would help a guesser.
pub fn asking_the_audit_log(error: Error) -> Error {
    if error.code != REFUSED {
        return error;
    }
    let hint = "Why, the server's audit log says a few seconds later: ferrohub audit export --days 1 --filter \"kind eq 'connectionRefused'\"";
    Error { message: format!("{} {hint}", error.message), ..error }
}

/// Who a device says it is.
#[derive(Clone)]
pub struct Login {
    /// MQTT client id.
    pub client_id: String,
    /// MQTT user name.
    pub user_name: String,
    /// SAS token; none where a certificate proves the identity.
    pub password: Option<String>,
}

/// An accepted connection. Dropping it says DISCONNECT.
pub struct Connection {
    commands: mpsc::Sender<Command>,
    messages: mpsc::Receiver<Publish>,
    end: watch::Receiver<Option<Error>>,
    clock: Arc<dyn Clock>,
}

enum Command {
    Publish { topic: String, payload: Bytes, done: oneshot::Sender<Result<()>> },
    Subscribe { filters: Vec<String>, done: oneshot::Sender<Result<()>> },
}

impl Connection {
    /// Connects, finishes TLS and logs in.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached, `Unauthenticated` and others by the return
    /// code of CONNACK; the text says what it means.
    pub async fn open(dial: &Dial, login: &Login) -> Result<Self> {
        let stream = dial.open().await?;
        let clock = Arc::clone(dial.clock());
        let mut socket = Socket {
            stream,
            decoder: Decoder::new(MQTT_PACKET_BYTES),
            input: BytesMut::new(),
            output: BytesMut::new(),
            server: dial.name(),
            clock: Arc::clone(&clock),
        };
        let greeting = async {
            socket.write(&connect_packet(login)).await?;
            socket.next().await
        };
        let limit = Duration::from_secs(CONNECT_TIMEOUT_SECONDS);
        let answer = timeout(clock.as_ref(), limit, greeting).await.map_err(|_| {
            Error::unavailable(
                format!("{} did not answer CONNECT within {CONNECT_TIMEOUT_SECONDS} seconds.", dial.name()),
                1,
            )
        })?;
        match answer {
            Ok(Packet::ConnAck(verdict)) => accepted(verdict.code, &dial.name(), &login.client_id)?,
            Ok(other) => return Err(unexpected(&dial.name(), &other)),
            Err(error) => return Err(error),
        }
        let (commands, command_queue) = mpsc::channel(DEVICE_OUTGOING_QUEUE);
        let (message_queue, messages) = mpsc::channel(DEVICE_INCOMING_QUEUE);
        let (ended, end) = watch::channel(None);
        let driver =
            Driver { socket, commands: command_queue, messages: message_queue, waiting: HashMap::new(), last_id: 0 };
        tokio::spawn(async move {
            let reason = driver.run().await;
            // Nobody listens any more where the device hung up itself.
            let _ = ended.send(Some(reason));
        });
        Ok(Self { commands, messages, end, clock })
    }

    /// Publishes at QoS 1 and waits for PUBACK.
    ///
    /// # Errors
    /// `Unavailable` where the connection ended or no PUBACK came in time; `Invalid` for a message
    /// that MQTT cannot carry.
    pub async fn publish(&self, topic: String, payload: Bytes) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.ask(Command::Publish { topic, payload, done }, answer, "PUBACK").await
    }

    /// Subscribes to topic filters at QoS 1 and waits for SUBACK.
    ///
    /// # Errors
    /// `Forbidden` where the server refused one, else as [`Connection::publish`].
    pub async fn subscribe(&self, filters: &[&str]) -> Result<()> {
        let (done, answer) = oneshot::channel();
        let filters = filters.iter().map(|&filter| filter.to_owned()).collect();
        self.ask(Command::Subscribe { filters, done }, answer, "SUBACK").await
    }

    /// The next message of the server. May be dropped and called again without loss.
    ///
    /// # Errors
    /// `Unavailable` where the connection ended or nothing came `within` the time.
    pub async fn next(&mut self, within: Duration) -> Result<Publish> {
        self.wait(within).await?.ok_or_else(|| {
            Error::unavailable(format!("The server sent nothing within {} seconds.", within.as_secs()), 1)
        })
    }

    /// The same; `None` where nothing came `within` the time.
    ///
    /// # Errors
    /// `Unavailable` where the connection ended.
    pub async fn wait(&mut self, within: Duration) -> Result<Option<Publish>> {
        match timeout(self.clock.as_ref(), within, self.messages.recv()).await {
            Ok(Some(message)) => Ok(Some(message)),
            Ok(None) => Err(self.reason().await),
            Err(_) => Ok(None),
        }
    }

    /// Says DISCONNECT and waits until the socket is closed.
    pub async fn close(self) {
        let Self { commands, mut end, messages, clock } = self;
        drop((commands, messages));
        // An error means that the task is gone already, which is what is waited for.
        let _ = timeout(clock.as_ref(), ANSWER_TIMEOUT, end.wait_for(Option::is_some)).await;
    }

    async fn ask(&self, command: Command, answer: oneshot::Receiver<Result<()>>, what: &str) -> Result<()> {
        let asking = async {
            if self.commands.send(command).await.is_err() {
                return Err(self.reason().await);
            }
            match answer.await {
                Ok(result) => result,
                Err(_) => Err(self.reason().await),
            }
        };
        match timeout(self.clock.as_ref(), ANSWER_TIMEOUT, asking).await {
            Ok(result) => result,
            Err(_) => Err(Error::unavailable(
                format!("The server sent no {what} within {} seconds.", ANSWER_TIMEOUT.as_secs()),
                1,
            )),
        }
    }

    /// Why the connection ended; waits until it did.
    async fn reason(&self) -> Error {
        let mut end = self.end.clone();
        let reason = match end.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            Err(_) => None,
        };
        reason.unwrap_or_else(|| Error::unavailable("The connection ended.", 1))
    }
}

struct Socket {
    stream: TlsStream<TcpStream>,
    decoder: Decoder,
    input: BytesMut,
    output: BytesMut,
    server: String,
    clock: Arc<dyn Clock>,
}

impl Socket {
    /// The next packet. May be dropped and called again without loss.
    async fn next(&mut self) -> Result<Packet> {
        loop {
            let packet = self.decoder.decode(&mut self.input).map_err(|error| {
                let text = format!(
                    "{} sent something that is not MQTT: {error}. It may be another port that was dialled; MQTT's is {MQTT_PORT} where nothing else was said.",
                    self.server
                );
                Error::unavailable(text, 1).with_code(NOT_MQTT)
            })?;
            if let Some(packet) = packet {
                return Ok(packet);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err(Error::unavailable(format!("{} closed the connection.", self.server), 1)),
                Ok(_) => {}
                Err(error) => {
                    return Err(Error::unavailable(format!("The connection to {} broke: {error}.", self.server), 1));
                }
            }
        }
    }

    async fn write(&mut self, packet: &Packet) -> Result<()> {
        encode(packet, &mut self.output)
            .map_err(|error| Error::invalid(format!("MQTT cannot carry this message: {error}.")))?;
        let writing = async {
            self.stream.write_all_buf(&mut self.output).await?;
            self.stream.flush().await
        };
        match timeout(self.clock.as_ref(), ANSWER_TIMEOUT, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::unavailable(format!("The connection to {} broke: {error}.", self.server), 1)),
            Err(_) => Err(Error::unavailable(format!("{} reads nothing any more.", self.server), 1)),
        }
    }
}

struct Driver {
    socket: Socket,
    commands: mpsc::Receiver<Command>,
    messages: mpsc::Sender<Publish>,
    waiting: HashMap<u16, oneshot::Sender<Result<()>>>,
    last_id: u16,
}

impl Driver {
    /// Serves the connection until it ends; gives the reason.
    async fn run(mut self) -> Error {
        let reason = match self.serve().await {
            Err(error) => error,
            Ok(()) => {
                // The device hung up: the goodbye is a courtesy.
                let _ = self.socket.write(&Packet::Disconnect).await;
                Error::unavailable("The device disconnected.", 1)
            }
        };
        let _ = self.socket.stream.shutdown().await;
        reason
    }

    async fn serve(&mut self) -> Result<()> {
        let patience = Duration::from_secs(u64::from(KEEP_ALIVE_SECONDS));
        let clock = Arc::clone(&self.socket.clock);
        let mut heard = clock.monotonic();
        let mut tick = Alarm::new(Arc::clone(&clock), heard + patience / 2);
        loop {
            tokio::select! {
                packet = self.socket.next() => {
                    heard = clock.monotonic();
                    self.receive(packet?).await?;
                }
                command = self.commands.recv(), if self.waiting.len() < MQTT_IN_FLIGHT => match command {
                    Some(command) => self.send(command).await?,
                    None => return Ok(()),
                },
                () = tick.rings() => {
                    let now = clock.monotonic();
                    tick.set(now + patience / 2);
                    if now.since(heard) > patience + patience / 2 {
                        return Err(Error::unavailable(format!("{} answers no keep-alive.", self.socket.server), 1));
                    }
                    self.socket.write(&Packet::PingReq).await?;
                }
            }
        }
    }

    async fn receive(&mut self, packet: Packet) -> Result<()> {
        match packet {
            Packet::PubAck(id) => self.answer(id, Ok(())),
            Packet::SubAck(answer) => {
                let refused = answer.codes.contains(&SubAckCode::Failure);
                let verdict =
                    if refused { Err(Error::forbidden("The server refused the subscription.")) } else { Ok(()) };
                self.answer(answer.packet_id, verdict);
            }
            Packet::PingResp => {}
            Packet::Publish(message) if message.qos != QoS::ExactlyOnce => {
                let acknowledge = message.packet_id;
                if self.messages.try_send(message).is_err() && !self.messages.is_closed() {
                    return Err(Error::unavailable(
                        format!("The device did not read {DEVICE_INCOMING_QUEUE} messages of the server."),
                        1,
                    ));
                }
                if let Some(id) = acknowledge {
                    self.socket.write(&Packet::PubAck(id)).await?;
                }
            }
            other => return Err(unexpected(&self.socket.server, &other)),
        }
        Ok(())
    }

    async fn send(&mut self, command: Command) -> Result<()> {
        let id = self.free_id();
        let (packet, done) = match command {
            Command::Publish { topic, payload, done } => {
                let message =
                    Publish { dup: false, qos: QoS::AtLeastOnce, retain: false, topic, packet_id: Some(id), payload };
                (Packet::Publish(message), done)
            }
            Command::Subscribe { filters, done } => {
                let filters = filters.into_iter().map(|filter| TopicFilter { filter, qos: QoS::AtLeastOnce }).collect();
                (Packet::Subscribe(Subscribe { packet_id: id, filters }), done)
            }
        };
        match self.socket.write(&packet).await {
            Ok(()) => {
                self.waiting.insert(id, done);
                Ok(())
            }
            // What cannot be encoded was not sent; the connection is as good as before.
            Err(error) if error.kind == ferrohub_model::error::ErrorKind::Invalid => {
                let _ = done.send(Err(error));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn answer(&mut self, id: u16, verdict: Result<()>) {
        if let Some(done) = self.waiting.remove(&id) {
            // Who asked may have given up.
            let _ = done.send(verdict);
        }
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.waiting.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

fn connect_packet(login: &Login) -> Packet {
    Packet::Connect(Connect {
        client_id: login.client_id.clone(),
        clean_session: true,
        keep_alive_seconds: KEEP_ALIVE_SECONDS,
        will: None,
        user_name: Some(login.user_name.clone()),
        password: login.password.clone().map(Bytes::from),
    })
}

fn accepted(code: ConnectReturnCode, server: &str, client_id: &str) -> Result<()> {
    let refused = |meaning: &str| {
        format!("{server} refused the connection of '{client_id}': {meaning} (MQTT return code {}).", code.byte())
    };
    match code {
        ConnectReturnCode::Accepted => Ok(()),
        ConnectReturnCode::UnacceptableProtocol => Err(Error::invalid(refused("it does not speak MQTT 3.1.1"))),
        ConnectReturnCode::IdentifierRejected => Err(Error::invalid(refused("the client id is not allowed"))),
        ConnectReturnCode::ServerUnavailable => {
            Err(Error::unavailable(refused("the service is not available at the moment"), 1))
        }
        ConnectReturnCode::BadUserNameOrPassword => Err(Error::unauthenticated(refused(
            "the user name is malformed, or names an id or id scope that breaks a rule",
        ))),
        ConnectReturnCode::NotAuthorized => Err(Error::unauthenticated(refused(
            "the key, SAS token or certificate is not accepted, the user name does not fit, or there is no such hub, id scope or enabled device",
        ))
        .with_code(REFUSED)),
    }
}

fn unexpected(server: &str, packet: &Packet) -> Error {
    let kind = format!("{packet:?}");
    let kind: String = kind.chars().take_while(char::is_ascii_alphanumeric).collect();
    Error::unavailable(format!("{server} sent an unexpected {kind}."), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn return_codes_become_sentences() {
        assert!(accepted(ConnectReturnCode::Accepted, "h", "d").is_ok());
        let error = accepted(ConnectReturnCode::NotAuthorized, "hub1.azure-devices.localhost", "sn-1").unwrap_err();
        assert_eq!(error.http_status(), 401);
        assert!(error.message.contains("hub1.azure-devices.localhost"), "{error}");
        assert!(error.message.contains("'sn-1'") && error.message.contains("return code 5"), "{error}");
        assert!(asking_the_audit_log(error).message.contains("ferrohub audit export"));
        let malformed = accepted(ConnectReturnCode::BadUserNameOrPassword, "h", "d").unwrap_err();
        assert_eq!(asking_the_audit_log(malformed.clone()).message, malformed.message);
    }

    #[test]
    fn an_unexpected_packet_is_named_without_its_content() {
        let packet = Packet::PubRec(7);
        assert_eq!(unexpected("h", &packet).message, "h sent an unexpected PubRec.");
    }
}
