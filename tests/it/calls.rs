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
fn an_error_undoes_the_call_and_says_whose_it_is() {
    in_room(async |room: &RoomStub| {
        let error = room.count_and_fail().await.unwrap_err();
        let own = Response::error("no", 99).unwrap_err();
        assert_eq!(error.to_string(), format!("room.count_and_fail: {own}"));
        assert!(error.is_invalid() && own.is_invalid());
        assert_eq!(room.count().await?, 1);

        let error = room.parse("x".into()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "room.parse: invalid digit found in string"
        );
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
        let wanted = "room.count_dark: the call 'count_dark': too dark";
        assert_eq!(error.to_string(), wanted);
        assert_eq!(room.count().await?, 1);
        Ok(())
    });
}

#[test]
fn an_error_names_every_object_that_it_came_through() {
    #[durable_object(name = "Desk")]
    struct Desk(Env);

    impl DurableObject for Desk {
        async fn new(_: ObjectContext, env: Env) -> Result<Self> {
            Ok(Self(env))
        }

        async fn fetch(&mut self, req: Request) -> Result<Response> {
            let rooms = self.0.durable_object::<Room>();
            if let Some(id) = req.query_param("id") {
                let room = rooms.get(rooms.id_from_string(&id)?);
                return Ok(Response::text(room.id().to_string()));
            }
            let room = rooms.get_by_name("7");
            let number = room.parse(req.path()[1..].to_owned()).await?;
            Ok(Response::text(number.to_string()))
        }
    }

    #[worker(objects(Room, Desk))]
    #[derive(Clone)]
    struct Hotel;

    impl Worker for Hotel {
        async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
            let desk = env.durable_object::<Desk>().get_by_name("ground floor");
            match desk.fetch(req).await {
                Err(error) if error.status().is_none() => Ok(Response::text(error.to_string())),
                answer => answer,
            }
        }
    }

    within(async || {
        let server = TestServer::start(Hotel, Via::Memory).await.unwrap();
        let mut failed = server.fetch("/x").await.unwrap();
        assert_eq!(
            failed.text().await.unwrap(),
            "Desk.fetch: room.parse: invalid digit found in string"
        );
        // What stands for a 4xx is the client's to read, as it is.
        let mut refused = server.fetch("/?id=12x").await.unwrap();
        assert_eq!(refused.status(), 400);
        assert_eq!(
            refused.text().await.unwrap(),
            "an object's id is 64 hexadecimal digits, got the character 'x'"
        );
        let id = "0f".repeat(32);
        let mut found = server.fetch(&*format!("/?id={id}")).await.unwrap();
        assert_eq!(found.text().await.unwrap(), id);
        server.shutdown().await.unwrap();
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
