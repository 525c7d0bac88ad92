import { LineReader } from '../../../shared/decoders/line-protocol.ts'

/**
 * Bytes of a record of several lines: those of less than six bytes are none, so it never has more lines than a record may have
 * readings (`MAX_ELEMENTS`).
 */
const CHUNK_BYTES = 60_000

const LINE_FEED = 0x0a
const QUOTE = 0x22

/**
 * A body of line protocol in parts of at most 60,000 bytes that begin and end where lines do: together they are the body. A line
 * that is longer is a part of its own. Line feeds within quotes part nothing; without quotes no line is looked into.
 */
export function* chunksOf(body: Buffer): Generator<Buffer> {
  const reader = new LineReader()
  reader.load(body)
  /** The first quote at or behind a position. */
  let quote = body.indexOf(QUOTE)
  const lineEnd = (from: number): number => {
    if (quote >= 0 && quote < from) quote = body.indexOf(QUOTE, from)
    const end = body.indexOf(LINE_FEED, from)
    if (end < 0) return body.length
    return quote < 0 || quote > end ? end + 1 : reader.endOfLine(from)
  }
  for (let from = 0; from < body.length;) {
    if (body.length - from <= CHUNK_BYTES) {
      yield body.subarray(from)
      return
    }
    if (quote >= 0 && quote < from) quote = body.indexOf(QUOTE, from)
    const most = from + CHUNK_BYTES
    let end = quote < 0 || quote >= most ? body.lastIndexOf(LINE_FEED, most - 1) + 1 : from
    if (end <= from) end = lineEnd(from)
    if (quote >= 0 && quote < most) {
      for (let next = end; next <= most && next < body.length; next = lineEnd(next)) end = next
    }
    yield body.subarray(from, end)
    from = end
  }
}
