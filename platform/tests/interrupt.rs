//! Signals, sent to a child process.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Running, child_argument, expect_line, skip, start_child};
use ggraft_platform::interrupt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What the child does: says "ready", says "stopped" once it is interrupted, and dies of it, or with the
/// argument "stay" waits to be killed.
#[test]
#[ignore = "run by the other tests in a process of its own"]
fn child() {
    let Some(argument) = child_argument() else { return };
    interrupt::install().unwrap();
    interrupt::install().unwrap();
    assert!(!interrupt::interrupted());
    interrupt::die_if_interrupted();
    eprintln!("ready");
    let end = Instant::now() + Duration::from_secs(30);
    while !interrupt::interrupted() && Instant::now() < end {
        sleep(Duration::from_millis(2));
    }
    eprintln!("stopped");
    if argument.as_os_str() != "stay" {
        interrupt::die_if_interrupted();
    }
    sleep(Duration::from_secs(30));
}

fn send(child: &Running, signal: Signal) {
    kill(Pid::from_raw(child.0.id() as i32), signal).unwrap();
}

#[test]
fn the_first_signal_sets_the_flag_and_the_second_kills() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // A shell that runs the tests in the background has SIGINT ignored, which would be inherited.
        let (mut child, said) = start_child(&["env", "--default-signal"], "child", "stay".as_ref());
        expect_line(&said, "ready");
        send(&child, signal);
        expect_line(&said, "stopped");
        assert!(child.0.try_wait().unwrap().is_none(), "{signal}: alive after the first");
        send(&child, signal);
        assert_eq!(child.0.wait().unwrap().signal(), Some(signal as i32));
    }
}

#[test]
fn cleaned_up_the_process_dies_of_the_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (mut child, said) = start_child(&["env", "--default-signal"], "child", "die".as_ref());
        expect_line(&said, "ready");
        send(&child, signal);
        expect_line(&said, "stopped");
        assert_eq!(child.0.wait().unwrap().signal(), Some(signal as i32));
    }
}

/// The first process of a container has no default actions.
#[test]
fn where_no_signal_can_end_it_the_exit_code_tells() {
    let unshare = ["unshare", "--pid", "--fork", "env", "--default-signal"];
    if !Command::new(unshare[0]).args(&unshare[1..]).arg("true").status().is_ok_and(|s| s.success()) {
        return skip("cannot make a process namespace");
    }
    let (mut child, said) = start_child(&unshare, "child", "die".as_ref());
    expect_line(&said, "ready");
    let children = format!("/proc/{0}/task/{0}/children", child.0.id());
    let first: i32 = fs::read_to_string(children).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(first), Signal::SIGTERM).unwrap();
    expect_line(&said, "stopped");
    assert_eq!(child.0.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn a_hangup_ignored_by_nohup_stays_ignored() {
    // The redirection keeps nohup from talking about its own.
    let wrapper = ["sh", "-c", r#"exec nohup "$@" </dev/null"#, "sh"];
    let (mut child, said) = start_child(&wrapper, "child", "stay".as_ref());
    expect_line(&said, "ready");
    send(&child, Signal::SIGHUP);
    let answer = said.recv_timeout(Duration::from_millis(300));
    assert!(answer.is_err(), "the hangup was noticed: {answer:?}");
    send(&child, Signal::SIGTERM);
    expect_line(&said, "stopped");
    assert!(child.0.try_wait().unwrap().is_none(), "the hangup did not count as the first signal");
}
