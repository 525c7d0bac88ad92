import { SluiceError } from '../../errors.ts'
import { schemeOf } from '../../stamps/scheme.ts'
import { UNREADABLE, type LogRecord, type StampScheme } from '../../telemetry.ts'
import { MAX_UNPACKED_BYTES, unpack, ZSTD, zstd } from './compression.ts'
import { crc32c } from './crc32c.ts'
import { ByteReader, sizeOfVarint, writeVarint, zigzag } from './wire.ts'

/**
 * The record batch of Kafka's protocol, version 2: how records are sent and kept.
 *
 * Encoded here and not by kafkajs, which copies its list of messages once per message, takes a time of 0 for "now" and
 * compares times as text. A record is: key, value, receive time in ms as its timestamp, headers. The rest of the receive
 * time is the header `ns`, always the first one: `{ns}/{scheme}` for a stamp with a scheme; without one just the number,
 * and left out when it is 0 and no header of the record has that name.
 */

/** Fixed part of a batch, up to the records. */
const HEADER_BYTES = 61
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const COMPRESSION = 0x07
const CONTROL = 0x20
const NS = 'ns'

/** An upper bound of what a record takes in a batch; what batches are cut by. */
export function recordSizeBound({ key, value, headers }: LogRecord): number {
  let size = 64 + key.length * 3 + value.byteLength
  if (headers !== undefined)
    for (const [name, text] of Object.entries(headers)) size += 10 + 3 * (name.length + text.length)
  return size
}

export type Compression = 'none' | 'zstd'

/** Packed where that makes it smaller. */
export function encodeRecordBatch(records: readonly LogRecord[], compression: Compression = 'none'): Buffer {
  let bound = HEADER_BYTES
  for (const record of records) bound += recordSizeBound(record)
  const buffer = Buffer.allocUnsafe(bound)
  const firstMs = records[0]?.ms ?? 0
  let lastMs = firstMs
  let at = HEADER_BYTES
  for (const [i, record] of records.entries()) {
    if (record.ms > lastMs) lastMs = record.ms
    at = encodeRecord(buffer, at, record, i, record.ms - firstMs)
  }
  const packed = compression === 'zstd' ? zstd(buffer.subarray(HEADER_BYTES, at)) : undefined
  if (packed !== undefined) at = HEADER_BYTES + packed.copy(buffer, HEADER_BYTES)
  buffer.writeBigInt64BE(0n, 0)
  buffer.writeInt32BE(at - 12, 8)
  buffer.writeInt32BE(-1, 12)
  buffer[16] = 2
  buffer.writeInt16BE(packed === undefined ? 0 : ZSTD, ATTRIBUTES_AT)
  buffer.writeInt32BE(records.length - 1, 23)
  buffer.writeBigInt64BE(BigInt(firstMs), 27)
  buffer.writeBigInt64BE(BigInt(lastMs), 35)
  // No producer id: an idempotent producer of this client loses records when a leader moves.
  buffer.writeBigInt64BE(-1n, 43)
  buffer.writeInt16BE(-1, 51)
  buffer.writeInt32BE(-1, 53)
  buffer.writeInt32BE(records.length, 57)
  buffer.writeUInt32BE(crc32c(buffer, ATTRIBUTES_AT, at), CRC_AT)
  return buffer.subarray(0, at)
}

function encodeRecord(buffer: Buffer, start: number, record: LogRecord, index: number, deltaMs: number): number {
  const { key, value } = record
  const headers = headersOf(record)
  const time = headers === undefined ? timeOf(record) : undefined
  const keyBytes = Buffer.byteLength(key)
  const delta = zigzag(deltaMs)
  const body =
    1 +
    sizeOfVarint(delta) +
    sizeOfVarint(index * 2) +
    sizeOfVarint(keyBytes * 2) +
    keyBytes +
    sizeOfVarint(value.byteLength * 2) +
    value.byteLength +
    (headers === undefined ? sizeOfTime(time) : sizeOfAllHeaders(headers))
  let at = writeVarint(buffer, start, body * 2)
  buffer[at++] = 0
  at = writeVarint(buffer, at, delta)
  at = writeVarint(buffer, at, index * 2)
  at = writeVarint(buffer, at, keyBytes * 2)
  at += buffer.write(key, at)
  at = writeVarint(buffer, at, value.byteLength * 2)
  buffer.set(value, at)
  at += value.byteLength
  if (headers === undefined) {
    buffer[at++] = time === undefined ? 0 : 2
    return time === undefined ? at : writeHeader(buffer, at, NS, time)
  }
  at = writeVarint(buffer, at, headers.length * 2)
  for (const [name, text] of headers) at = writeHeader(buffer, at, name, text)
  return at
}

/** All headers in their order; undefined when there is none but `ns`, which is nearly always. */
function headersOf(record: LogRecord): [string, string][] | undefined {
  const { headers } = record
  if (headers === undefined) return undefined
  const own = Object.entries(headers)
  const time = timeOf(record) ?? (own.some(([name]) => name === NS) ? '0' : undefined)
  return time === undefined ? own : [[NS, time], ...own]
}

/** The value of the header `ns`; undefined when there is none. */
function timeOf({ ns, scheme }: LogRecord): string | undefined {
  if (scheme !== undefined) return `${ns}/${scheme}`
  return ns === 0 ? undefined : String(ns)
}

function sizeOfTime(time: string | undefined): number {
  // Both lengths are below 64 and take one byte each.
  return time === undefined ? 1 : 1 + 1 + 2 + 1 + time.length
}

function sizeOfAllHeaders(headers: readonly (readonly [string, string])[]): number {
  let size = sizeOfVarint(headers.length * 2)
  for (const pair of headers) {
    for (const text of pair) {
      const bytes = Buffer.byteLength(text)
      size += sizeOfVarint(bytes * 2) + bytes
    }
  }
  return size
}

function writeHeader(buffer: Buffer, start: number, name: string, text: string): number {
  let at = writeVarint(buffer, start, Buffer.byteLength(name) * 2)
  at += buffer.write(name, at)
  at = writeVarint(buffer, at, Buffer.byteLength(text) * 2)
  return at + buffer.write(text, at)
}

/** Records without a hole between their offsets; `next` is the offset behind the batch they came from. */
export interface Run {
  readonly firstOffset: number
  readonly records: LogRecord[]
}

/**
 * The records at or above `from` of the batches that a fetch returned, the offset to go on from, and how many bytes all of
 * it keeps in memory. A batch that was cut off at the end of the answer is left for the next fetch, as is what is behind
 * a large unpacked one. Values are views of `bytes`. A batch whose bytes are as they were sent and that cannot be read all
 * the same is one record, see {@link UNREADABLE}, at its last offset.
 * Error: `log_corrupt` (a checksum that does not match, or no batch of Kafka 0.11 and newer).
 */
export function decodeRecordBatches(bytes: Buffer, from: number): { runs: Run[]; next: number; kept: number } {
  const runs: Run[] = []
  let next = from
  let unpacked = 0
  for (let at = 0; at + HEADER_BYTES <= bytes.length && unpacked < MAX_UNPACKED_BYTES;) {
    const end = at + 12 + bytes.readInt32BE(at + 8)
    if (end > bytes.length) break
    const batch = bytes.subarray(at, end)
    at = end
    const baseOffset = Number(batch.readBigInt64BE(0))
    // First of all: a damaged count must not make a batch look as if it lay before `from`.
    check(batch, baseOffset)
    const behind = baseOffset + batch.readInt32BE(23) + 1
    if (behind <= from) continue
    if ((batch.readInt16BE(ATTRIBUTES_AT) & CONTROL) === 0) unpacked += decodeBatch(batch, from, runs)
    next = behind
  }
  return { runs, next, kept: bytes.length + unpacked }
}

function check(batch: Buffer, baseOffset: number): void {
  const wrong =
    batch[16] !== 2
      ? `has version ${batch[16]}`
      : crc32c(batch, ATTRIBUTES_AT, batch.length) !== batch.readUInt32BE(CRC_AT)
        ? 'fails its checksum'
        : undefined
  if (wrong !== undefined) throw new SluiceError('log_corrupt', `the batch at offset ${baseOffset} ${wrong}`)
}

/** Adds the records of a batch; returns how many bytes they were unpacked to, 0 for one that was not packed. */
function decodeBatch(batch: Buffer, from: number, runs: Run[]): number {
  const codec = batch.readInt16BE(ATTRIBUTES_AT) & COMPRESSION
  const before = runs.length
  const last = runs.at(-1)
  const lastCount = last?.records.length ?? 0
  try {
    const records = codec === 0 ? batch.subarray(HEADER_BYTES) : unpack(codec, batch.subarray(HEADER_BYTES))
    decodeRecords(batch, new ByteReader(records), from, runs)
    return codec === 0 ? 0 : records.length
  } catch (error) {
    // Whole or not at all.
    runs.length = before
    if (last !== undefined) last.records.length = lastCount
    runs.push(unreadable(batch, error))
    return 0
  }
}

/** At the last offset, so that nobody meets the batch again who has committed behind it. */
function unreadable(batch: Buffer, error: unknown): Run {
  const headers = { [UNREADABLE]: error instanceof Error ? error.message : String(error) }
  const lastMs = Number(batch.readBigInt64BE(35))
  const record: LogRecord = { key: '', value: batch, ms: lastMs, ns: 0, scheme: undefined, headers }
  return { firstOffset: Number(batch.readBigInt64BE(0)) + batch.readInt32BE(23), records: [record] }
}

function decodeRecords(batch: Buffer, reader: ByteReader, from: number, runs: Run[]): void {
  const baseOffset = Number(batch.readBigInt64BE(0))
  const firstMs = Number(batch.readBigInt64BE(27))
  const count = batch.readInt32BE(57)
  const lastDelta = batch.readInt32BE(23)
  let before = -1
  for (let i = 0; i < count; i++) {
    const end = reader.varint() + reader.at
    reader.at += 1
    const ms = firstMs + reader.varint()
    const delta = reader.varint()
    // One record would take the place of another, of this batch or of its neighbours.
    if (delta <= before || delta > lastDelta) throw new RangeError(`record ${i} lies outside of its batch`)
    before = delta
    const offset = baseOffset + delta
    if (offset >= from) {
      const last = runs.at(-1)
      const record = decodeRecord(reader, ms)
      if (last !== undefined && last.firstOffset + last.records.length === offset) last.records.push(record)
      else runs.push({ firstOffset: offset, records: [record] })
    }
    reader.at = end
  }
}

function decodeRecord(reader: ByteReader, ms: number): LogRecord {
  const key = reader.text(Math.max(0, reader.varint()))
  const value = reader.bytes(Math.max(0, reader.varint()))
  let ns = 0
  let scheme: StampScheme | undefined
  let headers: [string, string][] | undefined
  const count = reader.varint()
  for (let i = 0; i < count; i++) {
    const name = reader.text(reader.varint())
    const text = reader.text(Math.max(0, reader.varint()))
    if (i === 0 && name === NS) {
      const slash = text.indexOf('/')
      ns = Number(slash < 0 ? text : text.slice(0, slash))
      if (slash >= 0) scheme = schemeOf(Number(text.slice(slash + 1)))
    } else (headers ??= []).push([name, text])
  }
  return { key, value, ms, ns, scheme, headers: headers === undefined ? undefined : Object.fromEntries(headers) }
}
