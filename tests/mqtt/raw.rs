//! MQTT by hand: what the link cannot do, and a broker that says what the real one never says.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut length = body.len();
    loop {
        let more = if length >= 128 { 128 } else { 0 };
        packet.push(u8::try_from(length % 128).unwrap() | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

/// The first byte and what follows the length.
async fn read(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        length |= usize::from(byte & 127) << shift;
        shift += 7;
        if byte < 128 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

/// Publishes one retained message of any size, and has the broker's word that it has it.
pub async fn retain(port: u16, topic: &str, payload: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let connect = [text("MQTT"), vec![4, 2, 0, 0], text("by-hand")].concat();
    stream.write_all(&packet(0x10, &connect)).await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap().0, 0x20);
    let publish = [text(topic), vec![0, 1], payload.to_vec()].concat();
    stream.write_all(&packet(0x33, &publish)).await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap().0, 0x40);
    stream.write_all(&[0xe0, 0]).await.unwrap();
}

/// A broker for one connection that refuses the last subscription; `closes`: it ends the connection when it is left.
/// Whether it was left politely.
pub async fn refuse_last(listener: &TcpListener, closes: bool) -> bool {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut polite = false;
    while let Some((kind, body)) = read(&mut stream).await {
        match kind {
            0x10 => stream.write_all(&[0x20, 2, 0, 0]).await.unwrap(),
            0x82 => stream.write_all(&[0x90, 4, body[0], body[1], 0, 0x80]).await.unwrap(),
            0xe0 => {
                polite = true;
                if closes {
                    break;
                }
            }
            _ => {}
        }
    }
    polite
}
