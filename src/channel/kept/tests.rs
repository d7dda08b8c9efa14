use super::super::post::{Frame, post};
use super::super::prefix_index::SubscriberId;
use super::*;

fn kept(keep: Keep, bytes_max: u64, texts: &[&str]) -> Kept<Vec<Frame>> {
    let mut kept = Kept::default();
    for (second, text) in texts.iter().enumerate() {
        let now = Duration::from_secs(second as u64);
        kept.add(&post(text), (now, 1), keep, bytes_max);
    }
    let bytes: u64 = kept
        .by_type
        .values()
        .flatten()
        .map(|message| message.post.bytes())
        .sum();
    assert_eq!(kept.bytes, bytes);
    kept
}

/// Collects the messages whose types begin with `prefix`, in parts of `work` messages. Returns the
/// texts in the order of publication, and the number of messages that `fits` rejects.
fn collect(
    kept: &mut Kept<Vec<Frame>>,
    prefix: &str,
    work: usize,
    mut fits: impl FnMut(&Vec<Frame>) -> bool,
) -> (Vec<String>, u64) {
    let (id, now) = (SubscriberId(0), Duration::from_secs(60));
    let mut conditions = Conditions {
        now,
        generation: 2,
        fits: |body: &Vec<Frame>, _: &mut usize| match fits(body) {
            true => Fit::Fits,
            false => Fit::Unfit,
        },
    };
    kept.begin(id, prefix.as_bytes(), now, Keep::None);
    let (mut found, mut unfit) = (BTreeMap::new(), 0);
    loop {
        let mut left = work;
        let take = |number, post: &Rc<Post<Vec<Frame>>>| {
            let text = String::from_utf8(post.body()[1].clone()).unwrap();
            assert!(found.insert(number, text).is_none());
        };
        let part = kept.collect(id, &mut conditions, |_, _| true, &mut left, take);
        unfit += part.unfit;
        if matches!(part.end, CollectionEnd::Complete) {
            assert!(kept.collections.is_empty());
            return (found.into_values().collect(), unfit);
        }
        assert_eq!(left, 0);
    }
}

fn replay(kept: &mut Kept<Vec<Frame>>, prefix: &str) -> Vec<String> {
    let whole = collect(kept, prefix, usize::MAX, |_| true);
    let parts = collect(kept, prefix, 1, |_| true);
    assert_eq!(whole, parts);
    whole.0
}

#[test]
fn the_last_messages_of_each_type_are_kept_in_order() {
    let texts = ["a1", "b1", "a2", "c1", "a3", "b2"];
    let mut last = kept(Keep::Last(1), u64::MAX, &texts);
    assert_eq!(replay(&mut last, ""), ["c1", "a3", "b2"]);
    assert_eq!(replay(&mut last, "a"), ["a3"]);
    assert_eq!(replay(&mut last, "d").len(), 0);
    let mut two = kept(Keep::Last(2), u64::MAX, &texts);
    assert_eq!(replay(&mut two, ""), ["b1", "a2", "c1", "a3", "b2"]);
    two.limit();
    trim(&mut two, Duration::ZERO, Keep::Last(1));
    assert_eq!(replay(&mut two, ""), ["c1", "a3", "b2"]);
    let mut all = kept(Keep::For(Duration::from_secs(2)), u64::MAX, &texts);
    assert_eq!(replay(&mut all, ""), ["c1", "a3", "b2"]);
    let keep = Keep::For(Duration::from_secs(2));
    trim(&mut all, Duration::from_secs(60), keep);
    assert_eq!((all.len(), all.bytes()), (0, 0));
}

#[test]
fn the_oldest_messages_are_dropped_for_new_ones() {
    let mut some = kept(
        Keep::Last(10),
        3 * post("a1").bytes(),
        &["a1", "b1", "a2", "a3"],
    );
    assert_eq!(replay(&mut some, ""), ["b1", "a2", "a3"]);
    trim(&mut some, Duration::ZERO, Keep::None);
    assert_eq!((some.len(), some.bytes()), (0, 0));
}

#[test]
fn messages_of_an_earlier_generation_are_checked_only_once_more() {
    let mut some = kept(Keep::Last(1), u64::MAX, &["a1", "b1"]);
    let mut checks = 0;
    for expected in [(1, 1), (1, 0)] {
        let (texts, unfit) = collect(&mut some, "", 1, |body| {
            checks += 1;
            body[1] == b"b1"
        });
        assert_eq!((texts.len(), unfit), expected);
    }
    assert_eq!((checks, some.len()), (2, 1));
}

#[test]
fn messages_that_are_dropped_during_a_collection_are_collected() {
    let texts = ["b1", "a1", "c1", "a2", "d1"];
    let mut some = kept(Keep::Last(10), u64::MAX, &texts);
    let id = SubscriberId(0);
    let mut conditions = Conditions {
        now: Duration::ZERO,
        generation: 1,
        fits: |_: &_, _: &mut usize| Fit::Fits,
    };
    some.begin(id, b"", Duration::ZERO, Keep::Last(10));
    let mut found = BTreeMap::new();
    let mut take = |number, post: &Rc<Post<Vec<Frame>>>| {
        let text = String::from_utf8(post.body()[1].clone()).unwrap();
        assert!(found.insert(number, text).is_none());
    };
    let mut left = 1;
    some.collect(id, &mut conditions, |_, _| true, &mut left, &mut take);
    // Two new messages, which are not collected, displace all earlier messages.
    let bytes_max = 2 * post("a1").bytes();
    for text in ["a3", "e1"] {
        some.add(&post(text), (Duration::ZERO, 1), Keep::Last(10), bytes_max);
    }
    assert_eq!(some.len(), 2);
    let wanted = |kind: &[u8], _: &[u8]| kind != b"c";
    let part = some.collect(
        id,
        &mut conditions,
        wanted,
        &mut usize::MAX.clone(),
        &mut take,
    );
    assert!(matches!(part.end, CollectionEnd::Complete));
    assert!(found.into_values().eq(["b1", "a1", "a2", "d1"]));
}

/// Drops the messages that exceed the limits, one at a time.
fn trim(kept: &mut Kept<Vec<Frame>>, now: Duration, keep: Keep) {
    while kept.has_surplus(now, keep, u64::MAX) {
        kept.trim(now, keep, u64::MAX, &mut 1);
    }
}
