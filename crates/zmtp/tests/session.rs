//! Tests of sessions with CURVE: the handshake and the sealed traffic between two sessions, whose
//! bytes are cut anywhere or changed by an attacker.

#[path = "support/pair.rs"]
mod pair;

use gateway_zmtp::bytes::Input;
use gateway_zmtp::curve::{CurveError, FrameKind, LARGE_MIN};
use gateway_zmtp::greeting::{self, NULL_GREETING, OPENING};
use gateway_zmtp::mechanism::Mechanism;
use gateway_zmtp::session::{NullPeers, SessionError, SessionEvent, SessionSecurity, Side};
use gateway_zmtp::{COMMAND, MORE, command, put_frame};
use pair::{BOUNDS, End, attack, carry, client, connected, frames, keys, server};

#[test]
fn two_sides_exchange_messages_wherever_their_bytes_are_cut() {
    let messages: [&[usize]; 7] = [
        &[0],
        &[5, 0, 60],
        &[1; 7],
        &[300, 40_000],
        &[100_000],
        &[65_000, 65_000, 10],
        &[1 << 20],
    ];
    for piece in [1, 7, 64, 100, 4096, 70_000, usize::MAX] {
        let (server_keys, client_keys) = (keys(), keys());
        let security = server(&server_keys, NullPeers::Refused);
        let mut one = End::new(security, Side::Listens, "ROUTER");
        let security = client(&client_keys, server_keys.public());
        let mut other = End::new(security, Side::Connects, "DEALER");
        carry(&mut one, &mut other, piece);
        assert_eq!((&one.fault, &other.fault), (&None, &None), "{piece}");
        assert_eq!(one.heard, ["ready DEALER"]);
        assert_eq!(other.heard, ["ready ROUTER"]);
        assert_eq!(one.key, Some(client_keys.public()));
        assert_eq!(other.key, Some(server_keys.public()));
        assert!(one.session.understands_ping() && one.sealer.is_some());
        let messages = messages.map(|sizes| {
            let frames = sizes.iter().map(|size| vec![*size as u8; *size]);
            frames.collect::<Vec<_>>()
        });
        for message in &messages {
            one.say(message);
            other.ping();
            other.say(message);
        }
        carry(&mut one, &mut other, piece);
        assert_eq!((&one.fault, &other.fault), (&None, &None), "{piece}");
        assert!(one.messages == messages && other.messages == messages);
        let pings = one.heard.iter().filter(|word| *word == "ping 0");
        assert_eq!(pings.count(), messages.len());
        assert_eq!((one.session.held(), one.session.is_inside()), (0, false));
    }
}

/// The large frame is between small frames. The last byte of the large frame and the frames after
/// it arrive in one read.
#[test]
fn no_event_is_returned_while_a_large_frame_is_opened_on_another_thread() {
    let (mut one, mut other) = connected();
    let large = vec![7; LARGE_MIN];
    other.say(&[b"first".to_vec(), large.clone(), b"last".to_vec()]);
    other.say(&[b"next".to_vec()]);
    let sent = frames(&std::mem::take(&mut other.out));
    let whole: Vec<u8> = sent.concat();
    let end_of_large = sent[0].len() + sent[1].len();
    let (before, after) = whole.split_at(end_of_large);
    let next = |one: &mut End, input: &mut Input| {
        let End {
            session, buffers, ..
        } = one;
        session.next(input, BOUNDS, buffers).unwrap()
    };
    let mut input = Input::from(before[..end_of_large - 1].to_vec());
    assert!(next(&mut one, &mut input).is_none());
    let mut input = Input::from([&before[end_of_large - 1..], after].concat());
    let Some(SessionEvent::Open(work)) = next(&mut one, &mut input) else {
        panic!("the large frame is not opened on another thread");
    };
    assert_eq!(work.size(), LARGE_MIN);
    let unread = input.rest().len();
    for _ in 0..2 {
        assert!(one.session.is_opening() && one.session.is_inside());
        assert!(next(&mut one, &mut input).is_none());
        assert_eq!(input.rest().len(), unread);
        assert!(one.session.held() >= LARGE_MIN as u64);
        assert_eq!(one.session.arrived(), (5 + LARGE_MIN) as u64);
    }
    one.session.opened(work.run()).unwrap();
    assert!(!one.session.is_opening());
    let mut messages = Vec::new();
    while let Some(event) = next(&mut one, &mut input) {
        let SessionEvent::Message(message) = event else {
            panic!("{event:?}");
        };
        messages.push(message.into_owned_frames());
    }
    let first = vec![b"first".to_vec(), large, b"last".to_vec()];
    assert!(messages == [first, vec![b"next".to_vec()]]);
    assert_eq!((one.session.held(), one.session.is_inside()), (0, false));
}

/// Some peers, such as pyomq, set the flag `MORE` outside of the box, too. Only the flag in the box
/// counts.
#[test]
fn the_flag_for_more_frames_is_ignored_outside_of_a_box() {
    let (mut one, mut other) = connected();
    let messages = [
        vec![
            b"a".to_vec(),
            vec![7; 300],
            vec![7; LARGE_MIN],
            b"last".to_vec(),
        ],
        vec![b"b".to_vec()],
    ];
    for message in &messages {
        other.say(message);
    }
    let mut sent = frames(&std::mem::take(&mut other.out));
    for frame in &mut sent {
        frame[0] |= MORE;
    }
    for piece in sent.concat().chunks(1_000) {
        one.hear(piece);
    }
    assert_eq!(one.fault, None);
    assert!(one.messages == messages);
}

/// Some peers set the flag `COMMAND` outside of the box, too. pyomq sets it in its subscriptions
/// and in its answers to PINGs.
#[test]
fn the_flag_of_a_command_is_ignored_outside_of_a_box() {
    let (mut one, mut other) = connected();
    other.ping();
    other.say(&[b"a".to_vec(), b"b".to_vec()]);
    let mut sent = frames(&std::mem::take(&mut other.out));
    for frame in &mut sent {
        frame[0] |= COMMAND;
    }
    for piece in sent.concat().chunks(10) {
        one.hear(piece);
    }
    assert_eq!(one.fault, None);
    assert_eq!(one.heard.last().map(String::as_str), Some("ping 0"));
    assert_eq!(one.messages, [[b"a", b"b"]]);
}

#[test]
fn a_large_frame_that_is_changed_repeated_or_after_a_gap_ends_the_connection() {
    for attack in ["changed", "repeated", "after a gap"] {
        let (mut one, mut other) = connected();
        other.say(&[vec![7; LARGE_MIN]]);
        let mut sent = std::mem::take(&mut other.out);
        match attack {
            "changed" => *sent.last_mut().unwrap() ^= 1,
            "repeated" => sent.extend_from_within(..),
            _ => {
                other.say(&[vec![7; LARGE_MIN]]);
                sent = std::mem::take(&mut other.out);
            }
        }
        one.hear(&sent);
        assert!(
            matches!(one.fault, Some(SessionError::Curve(_))),
            "{attack}: {:?}",
            one.fault
        );
        assert_eq!(one.messages.len(), usize::from(attack == "repeated"));
    }
}

#[test]
fn a_frame_that_another_thread_seals_has_the_nonce_of_its_position() {
    let (mut one, mut other) = connected();
    let memory = [&b"before"[..], &vec![7; LARGE_MIN], b"after"].concat();
    let sealer = other.sealer.as_mut().unwrap();
    let part = 6..6 + LARGE_MIN;
    let work = sealer.seal_work(FrameKind::More, memory, part).unwrap();
    let mut later = Vec::new();
    sealer.seal(FrameKind::Last, b"last", &mut later).unwrap();
    let size = work.size();
    let mut sealed = work.run();
    assert_eq!((sealed.len(), sealed.capacity()), (size, size));
    sealed.append(&mut later);
    one.hear(&sealed);
    assert_eq!(one.fault, None);
    assert!(one.messages == [vec![vec![7; LARGE_MIN], b"last".to_vec()]]);
}

#[test]
fn a_listener_names_its_mechanism_after_the_peer_or_on_request() {
    let server_keys = keys();
    for null in [NullPeers::Refused, NullPeers::Admitted] {
        let mut listener = End::new(server(&server_keys, null), Side::Listens, "ROUTER");
        assert_eq!(listener.out, NULL_GREETING[..OPENING]);
        assert!(listener.session.awaits_mechanism());
        listener.out.clear();
        listener.hear(&NULL_GREETING[..63]);
        assert!(listener.out.is_empty());
        listener.session.name_mechanism(&mut listener.out);
        let curve = greeting::naming(Mechanism::Curve);
        assert_eq!(listener.out, curve[OPENING..]);
        assert!(!listener.session.awaits_mechanism());
        listener.session.name_mechanism(&mut listener.out);
        assert_eq!(listener.out.len(), curve.len() - OPENING, "named once");
        // Now it is too late to choose another mechanism.
        listener.hear(&NULL_GREETING[63..]);
        assert!(matches!(
            listener.fault,
            Some(SessionError::Mismatch { .. })
        ));
    }
    let security = server(&server_keys, NullPeers::Admitted);
    let caller = End::new(security, Side::Connects, "ROUTER");
    assert_eq!(caller.out, greeting::naming(Mechanism::Curve));
    assert!(!caller.session.awaits_mechanism());
    // A peer that names CURVE is reported as a mismatch even if the listener has no CURVE.
    let mut null_only = End::new(SessionSecurity::None, Side::Listens, "ROUTER");
    assert_eq!(null_only.out, NULL_GREETING[..OPENING]);
    null_only.hear(&greeting::naming(Mechanism::Curve));
    assert!(matches!(
        null_only.fault,
        Some(SessionError::Mismatch { .. })
    ));
    let mut null_only = End::new(SessionSecurity::None, Side::Listens, "ROUTER");
    null_only.hear(&NULL_GREETING);
    assert_eq!(
        (null_only.fault, &null_only.out[..]),
        (None, &NULL_GREETING[..])
    );
}

#[test]
fn peers_without_a_key_are_accepted_only_where_null_peers_are_admitted() {
    let server_keys = keys();
    for (null, admitted) in [(NullPeers::Refused, false), (NullPeers::Admitted, true)] {
        let mut listener = End::new(server(&server_keys, null), Side::Listens, "ROUTER");
        let mut peer = End::new(SessionSecurity::None, Side::Connects, "REQ");
        carry(&mut listener, &mut peer, 1);
        if admitted {
            // Without CURVE, an `End` sends its READY only after it has received the READY of its
            // peer, so the test sends the READY of the REQ.
            let mut ready = Vec::new();
            command::put_ready(&mut ready, "REQ");
            listener.hear(&ready);
            assert_eq!(listener.heard, ["ready REQ"]);
            assert_eq!((listener.key, listener.sealer.is_none()), (None, true));
        } else {
            assert_eq!(
                listener.fault,
                Some(SessionError::Mismatch {
                    theirs: Mechanism::Null,
                    ours: Mechanism::Curve
                })
            );
            assert_eq!(
                listener.out.len() + peer.out.len(),
                0,
                "the peer receives no ERROR"
            );
        }
        // CURVE is accepted in both cases.
        let mut listener = End::new(server(&server_keys, null), Side::Listens, "ROUTER");
        let security = client(&keys(), server_keys.public());
        let mut peer = End::new(security, Side::Connects, "DEALER");
        carry(&mut listener, &mut peer, usize::MAX);
        assert!(listener.is_met() && listener.key.is_some());
    }
    // Each mechanism is refused where it is not accepted.
    let plain = |null| SessionSecurity::Plain { null };
    for (security, theirs) in [
        (plain(NullPeers::Admitted), Mechanism::Curve),
        (plain(NullPeers::Refused), Mechanism::Null),
        (SessionSecurity::None, Mechanism::Curve),
        (SessionSecurity::None, Mechanism::Plain),
        (server(&server_keys, NullPeers::Admitted), Mechanism::Plain),
    ] {
        let mut listener = End::new(security, Side::Listens, "ROUTER");
        listener.hear(&greeting::naming(theirs));
        assert!(
            matches!(listener.fault, Some(SessionError::Mismatch { theirs: named, .. }) if named == theirs)
        );
    }
}

#[test]
fn a_client_of_another_server_is_refused_without_an_error_command() {
    let security = server(&keys(), NullPeers::Refused);
    let mut listener = End::new(security, Side::Listens, "ROUTER");
    let security = client(&keys(), keys().public());
    let mut peer = End::new(security, Side::Connects, "DEALER");
    carry(&mut listener, &mut peer, usize::MAX);
    let fault = listener.fault.expect("a fault");
    assert_eq!(fault, SessionError::Curve(CurveError::WrongServerKey));
    assert!(!fault.should_receive_error() && !peer.is_met());
}

#[test]
fn clear_text_is_refused_after_the_handshake() {
    let clear: [&[u8]; 5] = [
        b"\x00\x05hello",
        b"\x01\x01a\x00\x01b",
        b"\x04\x07\x04PING\0\0",
        b"\x04\x09\x05ERROR\x02no",
        b"\x04\x06\x05READY",
    ];
    for bytes in clear {
        let (mut one, _) = connected();
        one.hear(bytes);
        assert!(one.fault.is_some() && one.messages.is_empty());
        assert_eq!(one.heard, ["ready DEALER"], "{bytes:?}");
    }
    // A frame in clear text is not accepted after a sealed frame as part of the same message,
    // either.
    let (mut one, mut other) = connected();
    other.say(&[b"hello".to_vec()]);
    let mut bytes = other.out;
    bytes[0] |= MORE;
    put_frame(&mut bytes, 0, b"x");
    one.hear(&bytes);
    assert!(matches!(one.fault, Some(SessionError::Curve(_))));
    assert_eq!(one.messages, [[b"hello"]]);
}

#[test]
fn a_replayed_reordered_missing_or_changed_frame_ends_the_connection() {
    let sent = || {
        let (one, mut other) = connected();
        for text in ["a", "b", "c"] {
            other.say(&[text.as_bytes().to_vec()]);
        }
        let frames = frames(&other.out);
        (one, frames)
    };
    let heard = |order: &[usize]| {
        let (mut one, frames) = sent();
        for n in order {
            one.hear(&frames[*n]);
        }
        let texts = one
            .messages
            .iter()
            .map(|frames| frames[0][0])
            .collect::<Vec<_>>();
        (String::from_utf8(texts).expect("text"), one.fault)
    };
    let out_of_order = Some(SessionError::Curve(CurveError::NonceOutOfOrder));
    assert_eq!(heard(&[0, 1, 2]), ("abc".into(), None));
    assert_eq!(heard(&[0, 0]), ("a".into(), out_of_order.clone()));
    assert_eq!(heard(&[0, 2, 1]), ("a".into(), out_of_order.clone()));
    assert_eq!(heard(&[0, 2]), ("a".into(), out_of_order.clone()));
    assert_eq!(heard(&[0, 1, 2, 0]), ("abc".into(), out_of_order));
    // Every bit of a frame is authenticated, except for the flags for further frames and for
    // commands outside of the box, which are ignored. A changed size can make the frame
    // incomplete, so that the session awaits more bytes.
    const OUTER_FLAGS: [usize; 2] = [0, 2];
    let (_, frames) = sent();
    for bit in 0..8 * frames[0].len() {
        let (mut one, mut frames) = sent();
        frames[0][bit / 8] ^= 1 << (bit % 8);
        one.hear(&frames.concat());
        if OUTER_FLAGS.contains(&bit) {
            assert_eq!((one.messages.len(), one.fault), (3, None));
            continue;
        }
        assert!(one.messages.is_empty(), "bit {bit}");
        let awaits_more = one.session.is_inside();
        assert!(one.fault.is_some() || awaits_more, "bit {bit}");
    }
}

#[test]
fn a_frame_of_another_connection_or_direction_is_refused() {
    let (mut one, mut other) = connected();
    let (_, mut stranger) = connected();
    // After a first message of the listener, both directions have the same number of frames.
    one.say(&[b"x".to_vec()]);
    let first = std::mem::take(&mut one.out);
    other.hear(&first);
    stranger.say(&[b"x".to_vec()]);
    one.hear(&stranger.out);
    assert!(matches!(
        one.fault,
        Some(SessionError::Curve(CurveError::Forged(_)))
    ));
    // The peer receives its own frame, whose nonce is the next that the peer expects.
    other.say(&[b"x".to_vec()]);
    let echo = other.out.clone();
    other.hear(&echo);
    assert!(matches!(
        other.fault,
        Some(SessionError::Curve(CurveError::Forged(_)))
    ));
}

#[test]
fn a_peer_that_does_not_wait_for_its_turn_is_refused() {
    let server_keys = keys();
    let security = server(&server_keys, NullPeers::Refused);
    let mut one = End::new(security, Side::Listens, "ROUTER");
    let security = client(&keys(), server_keys.public());
    let mut other = End::new(security, Side::Connects, "DEALER");
    // The peer sends a message before its HELLO is answered.
    let greeting = std::mem::take(&mut other.out);
    one.hear(&greeting);
    let rest = std::mem::take(&mut one.out);
    other.hear(&rest);
    let mut hello = std::mem::take(&mut other.out);
    let whole = hello.len();
    hello.extend_from_slice(b"\x00\x05sneak");
    let mut input = gateway_zmtp::bytes::Input::from(hello);
    let event = one.session.next(&mut input, BOUNDS, &mut one.buffers);
    assert!(
        format!("{event:?}").contains("Work"),
        "{event:?} of {whole}"
    );
    let early = one.session.next(&mut input, BOUNDS, &mut one.buffers);
    assert_eq!(early.map(drop), Err(SessionError::OutOfTurn));
    // The peer sends another command in place of HELLO.
    for first in [&b"\x05READY"[..], b"\x08INITIATE", b"\x07MESSAGE", b""] {
        let security = server(&server_keys, NullPeers::Refused);
        let mut one = End::new(security, Side::Listens, "ROUTER");
        one.hear(&greeting);
        let mut frame = Vec::new();
        put_frame(&mut frame, COMMAND, first);
        one.hear(&frame);
        assert!(one.fault.is_some() && !one.is_met(), "{first:?}");
    }
}

#[test]
fn the_bounds_of_messages_apply_to_sealed_messages_too() {
    let (mut one, mut other) = connected();
    // A message whose frames are too large together is skipped, and the next one is received.
    other.say(&[vec![1; 700_000], vec![2; 700_000]]);
    other.say(&[b"next".to_vec()]);
    carry(&mut one, &mut other, usize::MAX);
    assert_eq!(one.heard, ["ready DEALER", "oversize"]);
    assert_eq!(one.messages, [[b"next".to_vec()]]);
    // A box that is too large ends the connection.
    other.say(&[vec![1; (1 << 20) + 1]]);
    carry(&mut one, &mut other, usize::MAX);
    assert_eq!(one.fault, Some(SessionError::TooLarge(1 << 20)));
    // The bytes of an incomplete message are counted as they arrive.
    let (mut one, mut other) = connected();
    other.say(&[vec![1; 100], vec![2; 500_000]]);
    one.hear(&other.out[..400_000]);
    assert!(one.session.is_inside() && one.session.is_inside_message());
    assert!(
        one.session.arrived() >= 390_000,
        "{}",
        one.session.arrived()
    );
    assert!(one.session.held() >= 390_000, "{}", one.session.held());
}

#[test]
fn an_attacker_on_the_network_can_add_no_message() {
    for side in [Side::Listens, Side::Connects] {
        assert_eq!(attack(side, &[]), 4, "without changes, all messages arrive");
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let length = 4 * random.usize(1..4);
            let instructions: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            attack(side, &instructions);
        }
    }
}
