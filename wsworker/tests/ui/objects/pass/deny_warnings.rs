//! The expansion gives no warnings of its own.
#![deny(warnings, missing_docs, unused_qualifications, unreachable_pub)]

/// Rooms.
pub mod rooms {
    use wsworker::prelude::*;

    /// A room.
    #[durable_object(name = "room", hibernate_after = "1m", event_timeout = "5s")]
    pub struct Room {
        ctx: ObjectContext,
    }

    impl DurableObject for Room {
        async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
            Ok(Self { ctx })
        }
    }

    #[durable_object]
    impl Room {
        /// How many came.
        #[call]
        pub async fn count(&mut self) -> Result<usize> {
            Ok(self.ctx.storage().get("count").await?.unwrap_or_default())
        }

        /// Says something.
        #[call]
        #[allow(clippy::too_many_arguments)]
        pub async fn say(
            &mut self,
            mut a: u8,
            b: u8,
            c: u8,
            d: u8,
            e: u8,
            f: u8,
            g: u8,
            h: String,
        ) -> Result<(u8, String)> {
            a += b + c + d + e + f + g;
            Ok((a, h))
        }

        // Not documented, as nobody outside of the crate sees it; and not called.
        #[call]
        async fn own(&mut self) -> Result<()> {
            Ok(())
        }

        /// Nobody is to call it any more.
        #[call]
        #[deprecated(note = "use count")]
        pub async fn old(&mut self) -> Result<()> {
            Ok(())
        }

        #[call]
        #[allow(missing_docs)]
        pub async fn undocumented(&mut self) -> Result<()> {
            Ok(())
        }
    }
}

fn main() {}
