use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt;

use super::*;

fn book() -> (Logbook, impl FnOnce(&dyn Fn())) {
    let logbook = Logbook::new();
    let subscriber = tracing_subscriber::registry().with(logbook.layer());
    (logbook, |work: &dyn Fn()| tracing::subscriber::with_default(subscriber, work))
}

fn said(entries: &[Arc<Entry>]) -> Vec<&str> {
    entries.iter().map(|entry| entry.message.as_str()).collect()
}

fn entry(message: &str) -> Entry {
    Entry {
        seq: 0,
        at_ms: 0,
        level: Level::Info,
        kind: Kind::Guest,
        message: message.to_owned(),
        app: None,
        place: None,
        release: None,
        trace: None,
        fields: Default::default(),
    }
}

#[test]
fn an_event_becomes_an_entry_with_its_names_apart() {
    let (logbook, during) = book();
    during(&|| {
        let (app, missing): (_, Option<&str>) = ("shop", None);
        tracing::error!(
            target: Kind::Panic.target(), %app, place = "/cart", release = missing, trace = "t1", bytes = 7, "it\nbroke"
        );
        tracing::debug!(target: Kind::Guest.target(), "not kept");
        tracing::info!(target: "hyper::proto", "not kept");
        tracing::warn!(trace = "t2", cause = %std::io::Error::other("full"), "a disk");
    });
    let entries = logbook.recent(&Filter::default(), 10);
    assert_eq!(said(&entries), ["it\nbroke", "a disk"]);
    let panic = &entries[0];
    assert_eq!((panic.kind, panic.level, panic.seq), (Kind::Panic, Level::Error, 1));
    assert_eq!((panic.app.as_deref(), panic.place.as_deref()), (Some("shop"), Some("/cart")));
    assert_eq!((panic.release.as_deref(), panic.trace.as_deref()), (None, Some("t1")));
    assert_eq!(panic.fields, [("bytes".to_owned(), "7".to_owned())].into());
    assert_eq!((entries[1].kind, entries[1].fields["cause"].as_str()), (Kind::Host, "full"));
    assert_eq!(said(&logbook.of_trace("t2")), ["a disk"]);
    let json = serde_json::to_string(&**panic).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), **panic);
}

#[test]
fn a_filter_asks_only_about_what_it_sets() {
    let mut shop = entry("x");
    (shop.app, shop.level, shop.kind) = (Some("shop".into()), Level::Warn, Kind::Sql);
    let admits = |filter: Filter| filter.admits(&shop);
    assert!(admits(Filter::default()));
    assert!(admits(Filter { app: Some("shop".into()), level: Some(Level::Warn), ..Filter::default() }));
    assert!(admits(Filter { kinds: vec![Kind::Panic, Kind::Sql], ..Filter::default() }));
    shop.trace = Some("0123456789abcdef0123456789abcdef".into());
    let admits = |filter: Filter| filter.admits(&shop);
    assert!(admits(Filter { trace: shop.trace.clone(), ..Filter::default() }));
    assert!(admits(Filter { trace: Some("01234567".into()), ..Filter::default() }));
    assert!(!admits(Filter { trace: Some("0123456".into()), ..Filter::default() }));
    assert!(!admits(Filter { app: Some("other".into()), ..Filter::default() }));
    assert!(!admits(Filter { place: Some("/".into()), ..Filter::default() }));
    assert!(!admits(Filter { level: Some(Level::Error), ..Filter::default() }));
    assert!(!admits(Filter { kinds: vec![Kind::Host], ..Filter::default() }));
    assert_eq!("sql".parse(), Ok(Kind::Sql));
    assert!("loud".parse::<Level>().unwrap_err().to_string().contains("trace, debug, info, warn, error"));
}

#[test]
fn the_oldest_go_when_there_are_too_many_or_they_are_too_large() {
    let logbook = Logbook::new();
    (0..limits::LOGBOOK_ENTRIES + 5).for_each(|number| logbook.write(entry(&number.to_string())));
    let all = logbook.recent(&Filter::default(), usize::MAX);
    assert_eq!((all.len(), all[0].seq), (limits::LOGBOOK_ENTRIES, 6));
    assert_eq!(logbook.recent(&Filter::default(), 2)[0].message, (limits::LOGBOOK_ENTRIES + 3).to_string());

    let large = "x".repeat(limits::LOGBOOK_BYTES / 10);
    (0..20).for_each(|_| logbook.write(entry(&large)));
    let all = logbook.recent(&Filter::default(), usize::MAX);
    assert!((5..10).contains(&all.len()), "{} kept", all.len());
    assert!(lock(&logbook.ring).bytes <= limits::LOGBOOK_BYTES);
}

#[test]
fn a_message_is_cut_between_characters() {
    let (logbook, during) = book();
    during(&|| {
        tracing::info!(note = "é".repeat(limits::LOGBOOK_FIELD_BYTES), "x{}", "é".repeat(limits::LOGBOOK_MESSAGE_BYTES))
    });
    let entry = &logbook.recent(&Filter::default(), 1)[0];
    assert_eq!(entry.message.len(), limits::LOGBOOK_MESSAGE_BYTES - 1 + "…".len());
    assert!(entry.message.ends_with("é…") && entry.fields["note"].ends_with("é…"));
}

#[tokio::test]
async fn a_follower_hears_everything_in_order_or_how_much_it_has_missed() {
    let logbook = Logbook::new();
    logbook.write(entry("before"));
    let (recent, mut followed) = logbook.recent_and_follow(&Filter::default(), 10);
    assert_eq!(said(&recent), ["before"]);
    let next = tokio::time::timeout(Duration::from_millis(20), followed.next()).await;
    assert!(next.is_err(), "nothing has been written since: {next:?}");

    let writer = logbook.clone();
    std::thread::spawn(move || (0..100).for_each(|number| writer.write(entry(&number.to_string()))));
    for number in 0..100 {
        let Next::Entry(entry) = followed.next().await else { panic!("nothing was lost") };
        assert_eq!(entry.message, number.to_string());
    }

    (0..limits::LOGBOOK_ENTRIES + 3).for_each(|_| logbook.write(entry("flood")));
    assert_eq!(followed.next().await, Next::Lost(3));
    for _ in 0..limits::LOGBOOK_ENTRIES {
        assert!(matches!(followed.next().await, Next::Entry(_)));
    }
    logbook.write(entry("last"));
    drop(logbook);
    assert!(matches!(followed.next().await, Next::Entry(entry) if entry.message == "last"));
    assert_eq!(followed.next().await, Next::Ended);
}
