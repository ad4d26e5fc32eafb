use super::*;

fn at(seconds: u64) -> Mono {
    Mono(Duration::from_secs(seconds))
}

fn habits() -> Habits {
    Habits {
        who: ["web".into(), "2".into(), "executor".into()],
        period: Duration::from_secs(15),
        allow: Vec::new(),
        statsd: Rules { labels: vec!["outcome".into()], max_series: 100, ..Rules::default() },
        watched: ["sessions".to_owned()].into(),
    }
}

fn start(intake: &mut Intake, now: u64) {
    intake.starting(at(now));
    intake.begin(at(now));
}

fn intake() -> Intake {
    let mut intake = Intake::new(habits());
    start(&mut intake, 0);
    intake
}

fn names(told: &Told) -> Vec<&str> {
    told.foreign.iter().map(|(name, _)| name).filter(|name| !name.starts_with("reeve_worker_")).collect()
}

fn read(intake: &mut Intake, page: &str, now: u64) {
    assert_eq!(intake.scraped(Ok(page), Duration::from_millis(3), at(now)), Ok(()));
}

/// MET-08: page and datagrams side by side, the page wins, and all say who the worker is.
#[test]
fn met_08_page_and_datagrams_are_put_together() {
    let mut intake = intake();
    read(&mut intake, "# TYPE queue_depth gauge\nqueue_depth{worker=\"liar\",q=\"a\"} 3\n", 0);
    intake.datagram(b"queue_depth:9|g\nsessions:4|g", at(0));
    let told = intake.tell(at(1));
    assert_eq!(names(&told), ["queue_depth", "sessions"]);
    let line = told.foreign.get("queue_depth").map(|family| family.lines[0].clone());
    let labels = line.as_ref().map(|line| line.labels.as_str());
    assert_eq!(labels, Some("worker=\"web\",replica=\"2\",role=\"executor\",q=\"a\""));
    assert_eq!(told.foreign.sum("reeve_worker_scrape_success"), Some(1.0));
    assert_eq!(told.foreign.sum("reeve_worker_scrape_series"), Some(1.0));
    assert_eq!(told.foreign.sum("reeve_worker_statsd_messages_total"), Some(2.0));
    let values: Vec<_> = intake.values(at(1)).into_iter().collect();
    assert_eq!(values, [("queue_depth".to_owned(), 3.0), ("sessions".to_owned(), 4.0)]);
}

/// HLT-03: one failed reading is bridged, two are a gap, and it is said that they failed.
#[test]
fn hlt_03_a_failing_page_is_a_gap() {
    let mut intake = intake();
    read(&mut intake, "active_tasks 2\n", 0);
    assert!(intake.scraped(Err("no answer within 5s"), Duration::from_secs(5), at(20)).is_err());
    let told = intake.tell(at(20));
    assert_eq!((names(&told), told.foreign.sum("reeve_worker_scrape_success")), (vec!["active_tasks"], Some(0.0)));
    let broken = intake.scraped(Ok("<html>"), Duration::from_millis(1), at(35));
    assert!(broken.is_err_and(|why| why.starts_with("line 1")));
    assert_eq!(names(&intake.tell(at(35))), Vec::<&str>::new());
    assert!(intake.values(at(35)).is_empty());
}

/// MET-08: gauges go with the run, counters stay until the next page.
#[test]
fn met_08_a_run_takes_its_gauges_along() {
    let mut intake = intake();
    let page = "# TYPE done_total counter\ndone_total 5\n# TYPE active_tasks gauge\nactive_tasks 1\n";
    read(&mut intake, page, 0);
    intake.datagram(b"queue_depth:1|g\nsent:2|c", at(0));
    intake.run_over();
    intake.datagram(b"queue_depth:1|g", at(1));
    let told = intake.tell(at(500));
    assert_eq!(names(&told), ["done_total", "sent_total"]);
    assert_eq!(told.foreign.get("reeve_worker_scrape_success"), None);
    assert!(intake.values(at(500)).is_empty());
    start(&mut intake, 501);
    intake.datagram(b"sent:1|c", at(502));
    let told = intake.tell(at(502));
    assert_eq!((told.foreign.sum("done_total"), told.foreign.sum("sent_total")), (Some(5.0), Some(3.0)));
    read(&mut intake, "# TYPE done_total counter\ndone_total 1\n", 510);
    assert_eq!(intake.tell(at(510)).foreign.sum("done_total"), Some(1.0));
}

/// MET-05: what a run is sent counts from its beginning, also after many runs.
#[test]
fn met_05_throughput_knows_the_run() {
    let mut intake = intake();
    intake.datagram(b"agent.tasks:1000|c", at(0));
    start(&mut intake, 100);
    intake.tell(at(100));
    intake.datagram(b"agent.tasks:20|c", at(105));
    assert_eq!(intake.tell(at(110)).foreign.sum("task_throughput"), Some(2.0));
    let mut adopted = Intake::new(habits());
    adopted.begin(at(0));
    read(&mut adopted, "# TYPE reeve_agent_tasks_total counter\nreeve_agent_tasks_total 1000\n", 1);
    adopted.tell(at(1));
    assert_eq!(adopted.tell(at(11)).foreign.sum("task_throughput"), Some(0.0));
}

/// MET-17: the allow-list holds for what comes and what follows from it; values are known all the same.
#[test]
fn met_17_only_what_is_allowed_is_kept() {
    let mut intake = Intake::new(Habits { allow: vec!["task_*".into(), "vllm:*".into()], ..habits() });
    start(&mut intake, 0);
    read(&mut intake, "vllm:tokens 1\nother 2\nactive_tasks 3\nreeve_worker_up 0\nreeve_agent_tasks_total 4\n", 10);
    let told = intake.tell(at(10));
    assert_eq!(names(&told), ["task_throughput", "vllm:tokens"]);
    assert_eq!(told.foreign.get("reeve_worker_up"), None);
    assert_eq!(told.dropped, Dropped { invalid: 1, ..Dropped::default() });
    assert_eq!(intake.values(at(10)).get("active_tasks"), Some(&3.0));
}

/// MET-17: the cap leaves whole series out, counts them, and never what is said of the worker itself.
#[test]
fn met_17_a_page_over_the_cap_is_cut_by_series() {
    let mut intake = intake();
    let histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
    let many: String = (0..98).map(|n| format!("g{{n=\"{n}\"}} 1\n")).collect();
    read(&mut intake, &(many + histogram), 0);
    let told = intake.tell(at(0));
    assert_eq!((told.foreign.get("h"), told.dropped.over), (None, 4));
    assert_eq!(told.foreign.sum("g"), Some(98.0));
    assert_eq!(told.foreign.sum("reeve_worker_scrape_series"), Some(102.0));
}

/// MET-15: CPU time is asked for only of agents that do not say how busy they are.
#[test]
fn met_15_cpu_is_asked_for_where_it_is_of_use() {
    let mut intake = intake();
    read(&mut intake, "up 1\n", 0);
    intake.tell(at(0));
    assert!(!intake.wants_cpu());
    intake.datagram(b"queue_depth:1|g", at(1));
    intake.tell(at(1));
    assert!(intake.wants_cpu());
    intake.cpu(6.0, at(10));
    assert_eq!(intake.tell(at(10)).foreign.sum("agent_utilization"), Some(0.6));
}
