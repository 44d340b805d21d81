#[cfg(all())]
impl rooms::Room {
    const MOST: usize = 20;
    /// The last lines.
    #[inline]
    pub async fn history(
        &mut self,
        mut last: usize,
        of: [Self; 2],
    ) -> Result<Vec<Line>> {
        Ok(vec![])
    }
    #[cfg(all())]
    async fn r#match(&mut self) -> io::Result<()> {
        Ok(())
    }
    #[doc(hidden)]
    fn other(&self) {}
}
#[cfg(all())]
impl rooms::RoomStub {
    /// The last lines.
    pub async fn history(
        &self,
        last: usize,
        of: [rooms::Room; 2],
    ) -> ::wsworker::Result<Vec<Line>> {
        let sent = ::wsworker::__private::remote::Arguments::new("history", 2)
            .with::<usize>(last)?
            .with::<[rooms::Room; 2]>(of)?;
        let sent = ::wsworker::__private::remote::call::<
            rooms::Room,
        >(
                self,
                sent,
                |object, mut received| ::wsworker::__private::remote::answer(async move {
                    let last = received.take::<usize>()?;
                    let of = received.take::<[rooms::Room; 2]>()?;
                    received.end()?;
                    ::wsworker::__private::remote::reply::<
                        Vec<Line>,
                        _,
                    >("history", rooms::Room::history(object, last, of).await)
                }),
            )
            .await?;
        ::wsworker::__private::remote::value::<Vec<Line>>("history", &sent)
    }
    #[cfg(all())]
    /// Calls `match` of the object.
    async fn r#match(&self) -> ::wsworker::Result<()> {
        let sent = ::wsworker::__private::remote::Arguments::new("match", 0);
        let sent = ::wsworker::__private::remote::call::<
            rooms::Room,
        >(
                self,
                sent,
                |object, mut received| ::wsworker::__private::remote::answer(async move {
                    received.end()?;
                    ::wsworker::__private::remote::reply::<
                        (),
                        _,
                    >("match", rooms::Room::r#match(object).await)
                }),
            )
            .await?;
        ::wsworker::__private::remote::value::<()>("match", &sent)
    }
}
