use wsworker::Sql;
use wsworker::prelude::*;

async fn find(sql: Sql<'_>) -> Result<()> {
    sql.exec("SELECT name FROM players WHERE id = ?1", 7).await?;
    Ok(())
}

fn main() {}
