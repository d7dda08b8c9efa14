use super::*;
use gateway_zmtp::bytes::Input;
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::session::Session;
use gateway_zmtp::{COMMAND, MORE, greeting, put_frame};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const BEAT: Duration = ms(1_000);

fn view(stage: Stage) -> View {
    View {
        stage,
        heartbeat: None,
        waits: false,
    }
}

const WORKER: View = View {
    stage: Stage::Known,
    heartbeat: Some(BEAT),
    waits: false,
};

const STUCK: View = View {
    waits: true,
    ..WORKER
};

/// Examines the connection whenever an examination is due, until the connection ends, or at most
/// until `end`. Returns the time and the number of PINGs, and the reason if the connection ended.
fn run(
    liveness: &mut Liveness,
    view: View,
    mut now: Duration,
    end: Duration,
) -> (Option<EndReason>, Duration, u32) {
    let mut pings = 0;
    loop {
        now = match liveness.judge(view, now) {
            LivenessAction::End(over) => return (Some(over), now, pings),
            LivenessAction::Ping(next) => {
                pings += 1;
                assert!(next > now, "time goes on");
                next
            }
            LivenessAction::Rest(Some(next)) => {
                assert!(next > now, "time goes on");
                next
            }
            LivenessAction::Rest(None) => end,
        };
        if now >= end {
            return (None, end, pings);
        }
    }
}

#[test]
fn an_unserved_peer_is_disconnected_after_the_time_of_its_stage() {
    for (stage, over, most) in [
        (Stage::New, EndReason::Handshake, HANDSHAKE_TIMEOUT),
        (Stage::PutOff, EndReason::PutOff, REFUSAL_PAUSE),
        (Stage::Leaving, EndReason::Goodbye, HANDSHAKE_TIMEOUT),
    ] {
        let mut liveness = Liveness::new(ms(5));
        liveness.begin(ms(7));
        // The bytes that the peer sends meanwhile make no difference.
        liveness.heard(ms(900));
        liveness.set_ttl(Some(ms(1)));
        let end = ms(7) + most;
        let found = run(&mut liveness, view(stage), ms(7), ms(100_000));
        assert_eq!(found, (Some(over), end, 0));
        assert_eq!(
            liveness.judge(view(stage), end - ms(1)),
            LivenessAction::Rest(Some(end))
        );
    }
}

#[test]
fn a_client_may_be_silent_for_ever() {
    let mut liveness = Liveness::new(ms(0));
    assert_eq!(
        liveness.judge(view(Stage::Known), ms(1 << 40)),
        LivenessAction::Rest(None)
    );
}

#[test]
fn a_message_that_does_not_grow_ends_the_connection() {
    let mut liveness = Liveness::new(ms(0));
    liveness.heard(ms(10));
    liveness.inside(Some(100), false, ms(10));
    let found = run(&mut liveness, view(Stage::Known), ms(10), ms(100_000));
    assert_eq!(
        found,
        (
            Some(EndReason::PartialMessage),
            ms(10) + PARTIAL_MESSAGE_TIMEOUT,
            0
        )
    );
    // A new message begins a new period.
    liveness.inside(Some(100), true, ms(50_000));
    let found = run(&mut liveness, view(Stage::Known), ms(50_000), ms(200_000));
    assert_eq!(found.1, ms(50_000) + PARTIAL_MESSAGE_TIMEOUT);
    liveness.inside(None, true, ms(50_000));
    assert_eq!(
        run(&mut liveness, view(Stage::Known), ms(50_000), ms(200_000)).0,
        None
    );
}

/// Growth by less than `PARTIAL_MESSAGE_STEP` within `PARTIAL_MESSAGE_TIMEOUT` does not count.
#[test]
fn a_message_must_grow_at_a_minimum_rate() {
    for (bytes, ends) in [(1, true), (1_900, true), (2_200, false), (100_000, false)] {
        let mut liveness = Liveness::new(ms(0));
        liveness.inside(Some(0), false, ms(0));
        let mut over = None;
        for second in 1..=300 {
            let now = ms(1_000 * second);
            liveness.heard(now);
            liveness.inside(Some(bytes * second), false, now);
            if let LivenessAction::End(found) = liveness.judge(view(Stage::Known), now) {
                over = Some(found);
                break;
            }
        }
        assert_eq!(
            over,
            ends.then_some(EndReason::PartialMessage),
            "{bytes} bytes a second"
        );
    }
}

/// After the first frame, the peer sends only PINGs, but many of them.
#[test]
fn a_message_does_not_grow_by_the_commands_between_its_frames() {
    let bounds = Bounds {
        bytes: 16 << 20,
        frames: 4,
    };
    let (mut session, mut buffers) = (Session::default(), BufferPool::default());
    let mut liveness = Liveness::new(ms(0));
    let mut receive = |liveness: &mut Liveness, bytes: &[u8], now| {
        let (mut input, mut whole) = (Input::from(bytes.to_vec()), false);
        while session
            .next(&mut input, bounds, &mut buffers)
            .unwrap()
            .is_some()
        {
            whole |= !session.is_inside_message();
        }
        liveness.heard(now);
        liveness.inside(session.is_inside().then(|| session.arrived()), whole, now);
    };
    let mut front = greeting::NULL_GREETING.to_vec();
    put_frame(
        &mut front,
        COMMAND,
        b"\x05READY\x0bSocket-Type\0\0\0\x03REQ",
    );
    put_frame(&mut front, MORE, &[7; 1 << 20]);
    receive(&mut liveness, &front, ms(0));
    let mut pings = Vec::new();
    for _ in 0..300_000 {
        put_frame(&mut pings, COMMAND, b"\x04PING\0\0");
    }
    // The last PING of some of these pieces is cut off, and its rest is in the next piece.
    let mut pieces = pings.chunks(70_001).zip((1_000..).step_by(1_000).map(ms));
    for (piece, now) in pieces.by_ref().take(29) {
        receive(&mut liveness, piece, now);
        assert_eq!(liveness.grew(), Some(ms(0)), "after {now:?}");
        assert!(matches!(
            liveness.judge(view(Stage::Known), now),
            LivenessAction::Rest(_)
        ));
    }
    let end = liveness.judge(view(Stage::Known), PARTIAL_MESSAGE_TIMEOUT);
    assert_eq!(end, LivenessAction::End(EndReason::PartialMessage));
    // The message does grow by the bytes of its frames, even of an incomplete frame.
    let (piece, now) = pieces.next().unwrap();
    let rest = 9 - (30 * 70_001) % 9;
    receive(&mut liveness, piece, now);
    receive(&mut liveness, &piece[piece.len() - 9..][..rest], now);
    let mut frame = Vec::new();
    put_frame(&mut frame, 0, &[7; 2 * PARTIAL_MESSAGE_STEP as usize]);
    receive(&mut liveness, &frame[..frame.len() - 100], now);
    assert_eq!(liveness.grew(), Some(now));
    receive(&mut liveness, &frame[frame.len() - 100..], now);
    assert_eq!(liveness.grew(), None, "the message is complete");
}

#[test]
fn a_peer_that_the_gateway_did_not_serve_in_time_is_excused() {
    let mut liveness = Liveness::new(ms(0));
    liveness.inside(Some(0), false, ms(0));
    liveness.set_ttl(Some(ms(300)));
    let late = ms(90_000);
    assert!(matches!(
        liveness.judge(WORKER, late),
        LivenessAction::End(_)
    ));
    liveness.excuse(late);
    assert_eq!(
        liveness.judge(WORKER, late),
        LivenessAction::Rest(Some(late + ms(300)))
    );
}

#[test]
fn a_peer_is_lost_after_the_ttl_of_its_pings() {
    let mut liveness = Liveness::new(ms(0));
    liveness.set_ttl(Some(ms(300)));
    liveness.heard(ms(100));
    assert_eq!(
        run(&mut liveness, view(Stage::Known), ms(100), ms(9_000)),
        (Some(EndReason::Ttl), ms(400), 0)
    );
    liveness.set_ttl(None);
    assert_eq!(
        run(&mut liveness, view(Stage::Known), ms(100), ms(9_000)).0,
        None
    );
}

#[test]
fn a_silent_worker_is_pinged_and_lost_after_three_intervals() {
    let mut liveness = Liveness::new(ms(0));
    let found = run(&mut liveness, WORKER, ms(0), ms(100_000));
    assert_eq!(found, (Some(EndReason::Heartbeat), 3 * BEAT, 2));
    // A PING that the system accepts proves nothing about the peer.
    let mut liveness = Liveness::new(ms(0));
    assert!(matches!(
        liveness.judge(WORKER, BEAT),
        LivenessAction::Ping(_)
    ));
    liveness.wrote(9);
    let (over, at, _) = run(&mut liveness, WORKER, BEAT, ms(100_000));
    assert_eq!(over, Some(EndReason::Heartbeat));
    assert!(at <= 3 * BEAT + ms(1), "{at:?}");
    // Any sign of life counts.
    let mut liveness = Liveness::new(ms(0));
    for n in 1..100 {
        assert!(matches!(
            liveness.judge(WORKER, n * BEAT),
            LivenessAction::Ping(_)
        ));
        liveness.heard(n * BEAT);
    }
}

/// The worker takes 1 MiB every half second, for many heartbeat intervals.
#[test]
fn a_worker_that_reads_is_not_lost() {
    let mut liveness = Liveness::new(ms(0));
    for n in 1..200_u64 {
        let now = ms(500 * n);
        assert!(
            matches!(liveness.judge(STUCK, now), LivenessAction::Rest(Some(_))),
            "no PING is queued after the bytes"
        );
        liveness.took(1 << 20, now);
    }
    // The system has accepted the last bytes, and their transit time delays the end. PINGs are sent
    // meanwhile.
    let last = ms(500 * 199);
    let (over, at, pings) = run(&mut liveness, WORKER, last, ms(1_000_000));
    assert_eq!(over, Some(EndReason::Heartbeat));
    let most = TRANSIT_TIME_PER_BYTE * UNSENT_BYTES_MAX as u32;
    assert!(
        at > last + 3 * BEAT + most - ms(100) && at <= last + 3 * BEAT + most,
        "{at:?}"
    );
    assert!(pings > 2, "{pings}");
}

#[test]
fn a_worker_that_neither_reads_nor_sends_is_lost() {
    let mut liveness = Liveness::new(ms(0));
    liveness.wrote(100);
    let (over, at, pings) = run(&mut liveness, STUCK, ms(0), ms(100_000));
    assert_eq!((over, pings), (Some(EndReason::Heartbeat), 0));
    assert!(at <= 3 * BEAT + ms(1), "{at:?}");
}

/// Each worker has a random heartbeat interval, and is examined when an examination is due or a
/// little later. A worker that answers in time is never lost. A silent worker is lost soon after
/// three intervals, and never before.
#[test]
fn workers_that_answer_are_kept_and_silent_workers_are_lost() {
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let answers = random.bool();
        let interval = ms(random.u64(10..5_000));
        let mut liveness = Liveness::new(ms(0));
        let (mut now, mut last) = (ms(0), ms(0));
        let mut answer = None;
        let mut written = 0;
        let lost = loop {
            if now > ms(60_000) {
                break false;
            }
            if answer.is_some_and(|at| at <= now) {
                answer = None;
                last = now;
                liveness.heard(now);
                written = 0;
            }
            let view = View {
                heartbeat: Some(interval),
                ..WORKER
            };
            let next = match liveness.judge(view, now) {
                LivenessAction::End(over) => {
                    assert_eq!(over, EndReason::Heartbeat, "seed {seed}");
                    break true;
                }
                LivenessAction::Ping(next) => {
                    liveness.wrote(9);
                    written += 9;
                    if answers && answer.is_none() {
                        answer = Some(now + interval.mul_f64(random.f64()));
                    }
                    next
                }
                LivenessAction::Rest(next) => next.expect("a worker is always looked at again"),
            };
            assert!(next > now, "seed {seed}");
            // The gateway may be busy meanwhile, but it reads what has arrived before it examines
            // the connection.
            let late = interval.mul_f64(random.f64() / 10.0);
            now = next.min(answer.unwrap_or(Duration::MAX)).max(now) + late;
        };
        assert_eq!(lost, !answers, "seed {seed}");
        if lost {
            let silent = now - last;
            let most = 4 * interval + TRANSIT_TIME_PER_BYTE * written;
            assert!(
                silent >= 3 * interval && silent <= most,
                "seed {seed}: {silent:?} of {interval:?}"
            );
        }
    }
}
