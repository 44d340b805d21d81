//! Calls of objects, through the stubs that `#[durable_object]` makes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize};
use wsworker::prelude::*;
use wsworker::testing::{TestServer, Via};

use crate::server::within;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    by: String,
    text: Option<String>,
    #[serde(default)]
    likes: BTreeMap<String, u8>,
}

/// What is written and not understood when it is read.
#[derive(Clone, Debug, Default, Serialize)]
struct Torn(u8);

impl<'de> Deserialize<'de> for Torn {
    fn deserialize<D: Deserializer<'de>>(de: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(de).map(|_| Self::default())
    }
}

/// What cannot be written.
#[derive(Clone, Debug, Deserialize)]
struct Dark;

impl Serialize for Dark {
    fn serialize<S: serde::Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("too dark"))
    }
}

#[durable_object(name = "room")]
struct Room {
    ctx: ObjectContext,
}

impl DurableObject for Room {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { ctx })
    }
}

#[durable_object]
impl Room {
    #[call]
    async fn say(&mut self, line: Line, at: (u64, char), _also: Vec<Line>) -> Result<(Line, u64)> {
        Ok((line, at.0))
    }

    #[call]
    async fn count(&mut self) -> Result<u64> {
        let count = self.ctx.storage().get("count").await?.unwrap_or(0) + 1;
        self.ctx.storage().put("count", &count)?;
        Ok(count)
    }

    #[call]
    async fn count_and_fail(&mut self) -> Result<()> {
        self.count().await?;
        Err(Response::error("no", 99).unwrap_err())
    }

    #[call]
    async fn parse(&mut self, text: String) -> Result<u8, std::num::ParseIntError> {
        text.parse()
    }

    #[call]
    async fn count_torn(&mut self, _torn: Torn) -> Result<()> {
        self.count().await.map(drop)
    }

    #[call]
    async fn count_dark(&mut self) -> Result<Dark> {
        self.count().await?;
        Ok(Dark)
    }
}

#[test]
fn a_call_gives_what_the_method_gave() {
    in_room(async |room: &RoomStub| {
        let line = Line {
            by: "anna".into(),
            text: Some("hello".into()),
            likes: [("bo".into(), 200)].into(),
        };
        let said = room.say(line.clone(), (u64::MAX, 'é'), vec![line.clone()]);
        assert_eq!(said.await?, (line, u64::MAX));
        assert_eq!((room.count().await?, room.clone().count().await?), (1, 2));
        Ok(())
    });
}

#[test]
fn an_error_undoes_the_call_and_comes_back_as_it_is() {
    in_room(async |room: &RoomStub| {
        let error = room.count_and_fail().await.unwrap_err();
        let own = Response::error("no", 99).unwrap_err();
        assert_eq!(error.to_string(), own.to_string());
        assert!(error.is_invalid() && own.is_invalid());
        assert_eq!(room.count().await?, 1);

        let error = room.parse("x".into()).await.unwrap_err();
        assert_eq!(error.to_string(), "invalid digit found in string");
        Ok(())
    });
}

#[test]
fn what_cannot_be_encoded_or_decoded_undoes_the_call_and_names_it() {
    in_room(async |room: &RoomStub| {
        let error = room.count_torn(Torn(1)).await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert!(error.to_string().contains("call 'count_torn'"), "{error}");

        let error = room.count_dark().await.unwrap_err();
        assert_eq!(error.to_string(), "the call 'count_dark': too dark");
        assert_eq!(room.count().await?, 1);
        Ok(())
    });
}

#[test]
fn an_object_calls_another() {
    #[durable_object]
    struct Lobby(Env);

    impl DurableObject for Lobby {
        async fn new(_: ObjectContext, env: Env) -> Result<Self> {
            Ok(Self(env))
        }
    }

    #[durable_object]
    impl Lobby {
        #[call]
        async fn enter(&mut self, room: String) -> Result<u64> {
            self.0
                .durable_object::<Room>()
                .get_by_name(&room)
                .count()
                .await
        }
    }

    #[worker(objects(Room, Lobby))]
    #[derive(Clone)]
    struct Hotel;

    impl Worker for Hotel {
        async fn fetch(&mut self, _: Request, env: &Env) -> Result<Response> {
            let lobby = env.durable_object::<Lobby>().get_by_name("ground floor");
            let count = lobby.enter("7".into()).await? + lobby.enter("7".into()).await?;
            Ok(Response::text(count.to_string()))
        }
    }

    within(async || {
        let server = TestServer::start(Hotel, Via::Memory).await.unwrap();
        let mut response = server.fetch("/").await.unwrap();
        assert_eq!(response.text().await.unwrap(), "3");
        server.shutdown().await.unwrap();
    });
}

/// Hands out its surroundings.
#[worker(objects(Room))]
#[derive(Clone, Default)]
struct Door(Arc<OnceLock<Env>>);

impl Worker for Door {
    async fn fetch(&mut self, _: Request, env: &Env) -> Result<Response> {
        let _ = self.0.set(env.clone());
        Ok(Response::text("open"))
    }
}

fn in_room(test: impl AsyncFn(&RoomStub) -> Result<()> + Send + 'static) {
    within(async move || {
        let door = Door::default();
        let server = TestServer::start(door.clone(), Via::Memory).await.unwrap();
        server.fetch("/").await.unwrap();
        let rooms = door.0.get().unwrap().durable_object::<Room>();
        test(&rooms.get_by_name("lobby")).await.unwrap();
        server.shutdown().await.unwrap();
    });
}
