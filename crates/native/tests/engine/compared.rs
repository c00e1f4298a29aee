//! One query as Native and as `RowBinary`.

use native::Block;

use crate::client::Client;
use crate::types::Type;
use crate::{row_binary, values};

/// Reads a query both ways.
pub(crate) async fn check(
    client: &Client,
    sql: &str,
    block_rows: usize,
    chunk: usize,
) -> Vec<Block> {
    let blocks = client.blocks(sql, block_rows, chunk).await;
    let block_rows = block_rows.to_string();
    let settings = [("max_block_size", block_rows.as_str())];
    let expected = client.bytes(sql, "RowBinary", &settings).await;
    let columns = blocks.first().map_or(&[][..], |block| &block.columns[..]);
    let types: Vec<_> = columns
        .iter()
        .map(|each| Type::parse(&each.type_text))
        .collect();
    let expected = row_binary::rows(&expected, &types);
    let received: Vec<_> = (blocks.iter())
        .flat_map(|block| values::rows(&block.batch, &types))
        .collect();
    assert_eq!(received.len(), expected.len(), "{sql}");
    for (row, (received, expected)) in received.iter().zip(&expected).enumerate() {
        assert_eq!(received, expected, "row {row} of {sql}");
    }
    blocks
}
