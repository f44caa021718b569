//! The async client: the same rules as the blocking one's, among tasks.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use mailwire::client::{Client, Content, Request};
use mailwire::{Error, Outcome, Phase, Status};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use crate::script::Server;
use crate::{MESSAGE, envelope, options};

fn one_connection(server: &Server) -> Client {
    let mut options = options(server);
    options.set_max_connections(1).unwrap();
    Client::new(options).unwrap()
}

async fn send(client: &Client, to: &str) -> Result<Outcome, Error> {
    client.send(&envelope(&[to]), Content::bytes(MESSAGE)).await
}

/// Waits for a script to end, and lets the tasks go on meanwhile.
async fn join(server: Server) {
    tokio::task::spawn_blocking(|| server.join()).await.unwrap();
}

/// A server whose first message on its connection is answered when it is told to, and a sign that it has come.
fn held() -> (Server, Arc<Semaphore>, std::sync::mpsc::Sender<()>) {
    let has_come = Arc::new(Semaphore::new(0));
    let come = Arc::clone(&has_come);
    let (go_on, going_on) = channel();
    let going_on = Mutex::new(going_on);
    let server = Server::at_once(1, move |s, _| {
        s.welcome(&[]);
        s.accept_up_to_the_end_mark();
        has_come.add_permits(1);
        going_on.lock().unwrap().recv().unwrap();
        s.say("250 2.0.0 ok\n");
        let heard = s.accept_all();
        assert_eq!(heard, ["r0@x.example", "r2@x.example", "r4@x.example"]);
    });
    (server, come, go_on)
}

#[tokio::test]
async fn tasks_are_served_in_the_order_in_which_they_came() {
    let (server, come, go_on) = held();
    let client = one_connection(&server);
    let first = tokio::spawn({
        let client = client.clone();
        async move { send(&client, "first@x.example").await }
    });
    come.acquire().await.unwrap().forget();
    let mut others = Vec::new();
    for number in 0..5 {
        let client = client.clone();
        others.push(tokio::spawn(async move {
            send(&client, &format!("r{number}@x.example")).await
        }));
        // It has its place in the queue then.
        yield_now().await;
    }
    // One gives up while it waits, and one when it has been given its turn.
    others[1].abort();
    yield_now().await;
    go_on.send(()).unwrap();
    first.await.unwrap().unwrap();
    others[3].abort();
    for (number, other) in others.into_iter().enumerate() {
        match other.await {
            Ok(result) => assert!(result.is_ok(), "{number}"),
            Err(error) => assert!(error.is_cancelled() && [1, 3].contains(&number)),
        }
    }
    assert!(client.close(Some(Duration::from_secs(10))).await);
    join(server).await;
}

#[tokio::test]
async fn a_wait_for_a_connection_ends_at_the_deadline() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.accept_up_to_the_end_mark();
        s.closed();
    });
    let mut options = options(&server);
    options.set_max_connections(1).unwrap();
    options.set_deadline(Some(Duration::from_secs(3))).unwrap();
    let client = Client::new(options).unwrap();
    let (first, second) = tokio::join!(
        send(&client, "first@x.example"),
        send(&client, "second@x.example")
    );
    assert_eq!(first.unwrap_err().phase(), Some(Phase::EndOfData));
    let second = second.unwrap_err();
    assert_eq!(second.status(), Status::Timeout);
    // The turn may come at the very moment at which its time is over.
    assert!(matches!(second.phase(), Some(Phase::Pool | Phase::Connect)));
    join(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_tasks_on_two_connections_are_all_served() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    let both = Barrier::new(2);
    let server = Server::at_once(2, move |s, _| {
        s.welcome(&["PIPELINING"]);
        // Neither goes on before the other one is there.
        both.wait();
        let heard = s.accept_all();
        hearing.lock().unwrap().extend(heard);
    });
    let mut options = options(&server);
    options.set_max_connections(2).unwrap();
    let client = Client::new(options).unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { send(&client, &format!("r{number}@x.example")).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    client.close(None).await;
    join(server).await;
    let mut heard = std::mem::take(&mut *heard.lock().unwrap());
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), 100);
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced_and_the_message_sent_once() {
    let server = Server::new(vec![
        Box::new(|s| {
            s.welcome(&[]);
            s.accept_one();
            // Gone without a word, after the client looked.
            s.hear_start("MAIL");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(&[]);
            assert_eq!(s.accept_all(), ["b@x.example"]);
        }),
    ]);
    let client = one_connection(&server);
    send(&client, "a@x.example").await.unwrap();
    send(&client, "b@x.example").await.unwrap();
    client.close(None).await;
    join(server).await;
}

#[tokio::test]
async fn many_messages_and_requests_go_over_kept_connections() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        s.hear("NOOP");
        s.say("250 2.0.0 here\n");
        let heard = s.accept_all();
        assert_eq!(heard, ["r0@x.example", "r1@x.example", "r2@x.example"]);
    });
    let client = one_connection(&server);
    let shared = client.clone();
    let many = tokio::spawn(async move {
        let reply = shared.ask(Request::Noop).await.unwrap();
        assert_eq!(reply.code(), 250);
        let messages = (0..3).map(|number| {
            let to = format!("r{number}@x.example");
            (envelope(&[&to]), Content::bytes(MESSAGE))
        });
        let mut sent = Vec::new();
        let each = |index, result: Result<Outcome, Error>| {
            result.unwrap();
            sent.push(index);
        };
        shared.send_many(messages, each).await.unwrap();
        sent
    });
    assert_eq!(many.await.unwrap(), [0, 1, 2]);
    client.close(None).await;
    let refused = send(&client, "a@x.example").await.unwrap_err();
    assert_eq!(refused.status(), Status::Closed);
    join(server).await;
}

#[tokio::test]
async fn a_send_that_is_dropped_takes_its_connection_along_and_nobody_elses_turn() {
    let has_come = Arc::new(Semaphore::new(0));
    let come = Arc::clone(&has_come);
    let server = Server::new(vec![
        Box::new(move |s| {
            s.welcome(&[]);
            s.accept_up_to_the_end_mark();
            has_come.add_permits(1);
            // No QUIT: the session is in the middle of something.
            s.closed();
        }),
        Box::new(|s| {
            s.welcome(&[]);
            assert_eq!(s.accept_all(), ["second@x.example"]);
        }),
    ]);
    let client = one_connection(&server);
    let first = tokio::spawn({
        let client = client.clone();
        async move { send(&client, "first@x.example").await }
    });
    come.acquire().await.unwrap().forget();
    let second = tokio::spawn({
        let client = client.clone();
        async move { send(&client, "second@x.example").await }
    });
    yield_now().await;
    first.abort();
    second.await.unwrap().unwrap();
    client.close(None).await;
    join(server).await;
}

#[tokio::test]
async fn closing_waits_for_the_call_under_way() {
    let has_come = Arc::new(Semaphore::new(0));
    let come = Arc::clone(&has_come);
    let (go_on, going_on) = channel::<()>();
    let server = Server::once(move |s| {
        s.welcome(&[]);
        s.accept_up_to_the_end_mark();
        has_come.add_permits(1);
        going_on.recv().unwrap();
        s.say("250 2.0.0 ok\n");
        s.goodbye();
    });
    let client = one_connection(&server);
    let sending = tokio::spawn({
        let client = client.clone();
        async move { send(&client, "a@x.example").await }
    });
    come.acquire().await.unwrap().forget();
    assert!(!client.close(None).await);
    assert!(!client.close(Some(Duration::from_millis(20))).await);
    let closing = client.close(Some(Duration::from_secs(20)));
    go_on.send(()).unwrap();
    assert!(closing.await);
    sending.await.unwrap().unwrap();
    join(server).await;
}

#[tokio::test]
async fn dropping_the_last_clone_says_goodbye() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.accept_one();
        s.hear("QUIT");
        s.closed();
    });
    let client = one_connection(&server);
    let other = client.clone();
    send(&client, "a@x.example").await.unwrap();
    drop(client);
    drop(other);
    join(server).await;
}
