//! The pool in the child of a fork, and what it counts.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::driver::Tasks;
use super::*;
use crate::client::Options;

/// A server that takes one connection and tells what it hears on it.
async fn server() -> (Options, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = Options::new();
    let port = listener.local_addr().unwrap().port();
    options.set_server("127.0.0.1", Some(port)).unwrap();
    let hearing = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.split();
        writer.write_all(b"220 test.example\r\n").await.unwrap();
        let mut lines = BufReader::new(reader).lines();
        let mut heard = Vec::new();
        while let Ok(Some(line)) = lines.next_line().await {
            heard.push(line.split(' ').next().unwrap_or_default().to_owned());
            let _ = writer.write_all(b"250 ok\r\n").await;
        }
        heard
    });
    (options, hearing)
}

async fn borrow_and_bring_back<R: Runtime>(pool: &Pool<R>, driver: &impl Driver<Runtime = R>) {
    let turn = pool.turn(driver, Deadline::NONE).await.unwrap();
    let pooled = turn.connection(driver, Deadline::NONE).await.unwrap();
    turn.end(driver, Deadline::NONE, pooled).await;
}

#[tokio::test]
async fn in_a_child_every_call_fails_and_dropping_closes_without_a_word() {
    let (options, server) = server().await;
    let mut pool = Pool::new(options);
    borrow_and_bring_back(&pool, &Tasks).await;
    pool.guard = ForkGuard::of_another_process();
    for pooled in &mut *pool.lock() {
        pooled.guard = ForkGuard::of_another_process();
    }
    let refused = pool.check(&Tasks).unwrap_err();
    assert_eq!(refused.status(), Status::Forked);
    let closed = pool.close(&Tasks, GOODBYE, None).await;
    assert_eq!(closed.unwrap_err().status(), Status::Forked);
    drop(pool);
    let heard = server.await.unwrap();
    assert_eq!(heard, ["EHLO"], "no QUIT, but the end of the stream");
}

#[tokio::test]
async fn a_call_that_comes_back_in_a_child_touches_no_lock() {
    let (options, server) = server().await;
    let mut pool = Pool::new(options);
    let turn = pool.turn(&Tasks, Deadline::NONE).await.unwrap();
    let mut pooled = turn.connection(&Tasks, Deadline::NONE).await.unwrap();
    std::mem::forget(turn);
    pool.guard = ForkGuard::of_another_process();
    pooled.guard = ForkGuard::of_another_process();
    let turn = Turn { pool: &pool };
    let held = pool.lock();
    let ending = pin!(turn.end(&Tasks, Deadline::NONE, pooled));
    assert!(poll_once(ending).is_ready());
    drop(held);
    assert_eq!(pool.turns.available_permits(), 7);
    assert_eq!(server.await.unwrap(), ["EHLO"]);
}

#[tokio::test]
async fn a_turn_that_is_given_up_is_not_lost() {
    let (mut options, server) = server().await;
    options.set_max_connections(1).unwrap();
    let pool = Pool::new(options);
    for _ in 0..3 {
        let turn = pool.turn(&Tasks, Deadline::NONE).await.unwrap();
        let mut second = Box::pin(pool.turn(&Tasks, Deadline::NONE));
        assert!(poll_once(second.as_mut()).is_pending());
        // It has the turn, and does not take it.
        drop(turn);
        drop(second);
    }
    borrow_and_bring_back(&pool, &Tasks).await;
    assert!(pool.close(&Tasks, GOODBYE, None).await.unwrap());
    assert_eq!(server.await.unwrap(), ["EHLO", "QUIT"]);
}
