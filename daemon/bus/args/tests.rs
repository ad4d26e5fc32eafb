//! Arguments and options, as they come.

use super::super::table::interface;
use super::*;
use zbus::Message;

fn read(interface_name: &str, method: &str, body: &(impl serde::Serialize + zbus::DynamicType)) -> Result<Args, Error> {
    let method = interface(interface_name).unwrap().method(method).unwrap();
    let message = Message::method_call("/x", "X").build(body).unwrap();
    Args::read(method, &message.body())
}

fn options<'a>(list: &[(&'a str, Variant<'a>)]) -> HashMap<&'a str, Variant<'a>> {
    list.iter().map(|(k, v)| (*k, v.try_clone().unwrap())).collect()
}

#[test]
fn arguments_and_options_are_taken_in_order() {
    let opt = options(&[
        ("reason", Variant::from("new build")),
        ("rolling", Variant::from(true)),
        ("timeout-usec", Variant::from(5_000_000_u32)),
    ]);
    let mut args = read("Workers", "Restart", &("web/2", opt)).unwrap();
    assert_eq!(args.target().unwrap().to_string(), "web/2");
    assert_eq!(args.options.reason.as_deref(), Some("new build"));
    assert!(args.options.flag("rolling") && !args.options.dry_run);
    assert_eq!(args.options.timeout, Some(Duration::from_secs(5)));
    assert_eq!(args.shown["target"], Json::from("web/2"));
    assert_eq!(args.shown["rolling"], Json::from(true));
    assert!(args.text().is_err(), "nothing is left");
}

#[test]
fn an_unknown_option_is_refused_by_name() {
    let opt = options(&[("force", Variant::from(true))]);
    let error = read("Workers", "Stop", &("web", opt)).unwrap_err();
    assert_eq!(error.word(), "InvalidArgument");
    assert!(error.text().contains("\"force\"") && error.text().contains("dry-run"), "{error}");
}

#[test]
fn wrong_types_are_refused() {
    let opt = options(&[("dry-run", Variant::from("yes"))]);
    let error = read("Workers", "Stop", &("web", opt)).unwrap_err();
    assert!(error.text().contains("option dry-run: expected type b, not s"));
    let error = read("Workers", "Stop", &("web",)).unwrap_err();
    assert_eq!(error.word(), "InvalidArgs");
    let long = "x".repeat(2000);
    let opt = options(&[("reason", Variant::from(long.as_str()))]);
    assert!(read("Workers", "Stop", &("web", opt)).is_err());
}

#[test]
fn secrets_are_left_out_of_the_trail() {
    let values = options(&[
        ("api_key", Variant::from("hunter2")),
        ("MemoryMax", Variant::from("8G")),
        ("TasksMax", Variant::from(12_u32)),
    ]);
    let opt = options(&[]);
    let mut args = read("Workers", "Set", &("web", values, opt)).unwrap();
    assert!(!format!("{:?}", args.shown).contains("hunter2"));
    assert_eq!(args.shown["values"]["api_key"], Json::from(REDACTED));
    assert_eq!(args.worker().unwrap().as_str(), "web");
    let values = args.dictionary().unwrap();
    assert_eq!(values["MemoryMax"], "8G");
    assert_eq!(values["TasksMax"], "12");
}
