import { readFileSync, statSync } from 'node:fs'
import { readWal } from './wal.ts'

/** Page of a database whose cells are rows of a table (https://www.sqlite.org/fileformat2.html#b_tree_pages). */
const TABLE_LEAF = 13
/** The first page begins with the header of the file. */
const FILE_HEADER_BYTES = 100

/** A payload of at most the page's bytes less these lies in the page as a whole. */
const LEAST_ELSEWHERE = 35

type SqlValue = number | null | string | Buffer

export interface FoundRow {
  readonly id: number
  readonly values: readonly SqlValue[]
}

/** Every version of each page that the files hold, the newest last. */
type Versions = Map<number, { readonly bytes: Buffer; readonly isWhole: boolean }[]>

/**
 * Rows that lie in the pages of a database and of its WAL, whatever state the files are in: neither the header nor the
 * tree above the rows is needed. A row comes once for each version of its page, and once more for each way in which its
 * overflow pages can be put together, so that the caller, which knows a checksum, can tell the right one.
 */
export function* findRows(file: string, pageBytes: number): Generator<FoundRow> {
  const versions = versionsOf(file, pageBytes)
  for (const [page, found] of versions) {
    for (const { bytes } of found) yield* rowsOf(bytes, page === 1 ? FILE_HEADER_BYTES : 0, versions)
  }
}

/** Rows of one page, but for those that go on in overflow pages. */
export function rowsOfPage(bytes: Buffer): FoundRow[] {
  return [...rowsOf(bytes, 0, new Map())]
}

function versionsOf(file: string, pageBytes: number): Versions {
  const versions: Versions = new Map()
  const add = (page: number, bytes: Buffer, isWhole: boolean): void => {
    versions.set(page, [...(versions.get(page) ?? []), { bytes, isWhole }])
  }
  const main = statSync(file, { throwIfNoEntry: false }) === undefined ? Buffer.alloc(0) : readFileSync(file)
  for (let at = 0; at + pageBytes <= main.length; at += pageBytes) {
    add(at / pageBytes + 1, main.subarray(at, at + pageBytes), true)
  }
  for (const { page, bytes, isWhole } of readWal(`${file}-wal`, pageBytes)?.frames ?? []) add(page, bytes, isWhole)
  return versions
}

function* rowsOf(page: Buffer, start: number, versions: Versions): Generator<FoundRow> {
  if (page[start] !== TABLE_LEAF) return
  const cells = page.readUInt16BE(start + 3)
  for (let i = 0; i < cells; i++) {
    const pointer = start + 8 + i * 2
    if (pointer + 2 > page.length) return
    const cell = page.readUInt16BE(pointer)
    const isLocal = (varint(page, cell)?.value ?? 0) <= page.length - LEAST_ELSEWHERE
    for (const wholeOnly of isLocal ? [true] : [true, false]) {
      const row = rowAt(page, cell, versions, wholeOnly)
      if (row !== undefined) yield row
    }
  }
}

function rowAt(page: Buffer, start: number, versions: Versions, wholeOnly: boolean): FoundRow | undefined {
  const size = varint(page, start)
  const id = size === undefined ? undefined : varint(page, size.end)
  if (size === undefined || id === undefined) return undefined
  const payload = payloadAt(page, id.end, size.value, versions, wholeOnly)
  const values = payload === undefined ? undefined : valuesOf(payload)
  return values === undefined ? undefined : { id: id.value, values }
}

/** The bytes of a cell, with those on its overflow pages. */
function payloadAt(
  page: Buffer,
  start: number,
  size: number,
  versions: Versions,
  wholeOnly: boolean,
): Buffer | undefined {
  const usable = page.length
  const most = usable - LEAST_ELSEWHERE
  if (size <= most) return start + size <= usable ? page.subarray(start, start + size) : undefined
  const least = Math.floor(((usable - 12) * 32) / 255) - 23
  const fitting = least + ((size - least) % (usable - 4))
  const local = fitting <= most ? fitting : least
  if (start + local + 4 > usable || size > usable * (versions.size + 1)) return undefined
  const parts = [page.subarray(start, start + local)]
  let next = page.readUInt32BE(start + local)
  for (let left = size - local; left > 0; left -= usable - 4) {
    const overflow = versions.get(next)?.findLast(({ isWhole }) => isWhole || !wholeOnly)?.bytes
    if (overflow === undefined) return undefined
    parts.push(overflow.subarray(4, 4 + Math.min(left, usable - 4)))
    next = overflow.readUInt32BE(0)
  }
  return Buffer.concat(parts)
}

/** Null, whole numbers, text and blobs; undefined when the bytes are no row, or one with anything else. */
function valuesOf(payload: Buffer): SqlValue[] | undefined {
  const header = varint(payload, 0)
  if (header === undefined || header.value > payload.length) return undefined
  const values: SqlValue[] = []
  let at = header.value
  for (let next = header.end; next < header.value;) {
    const type = varint(payload, next)
    if (type === undefined) return undefined
    next = type.end
    const length = type.value >= 12 ? (type.value - 12) >> 1 : (INTEGER_BYTES[type.value] ?? -1)
    const isText = type.value >= 13 && type.value % 2 === 1
    if (length < 0 || at + length > payload.length) return undefined
    const bytes = payload.subarray(at, at + length)
    if (isText) values.push(bytes.toString('utf8'))
    else values.push(type.value >= 12 ? bytes : type.value === 0 ? null : integerOf(type.value, bytes))
    at += length
  }
  return values
}

/** By serial type; 7 is a float, which no table here has, and 10 and 11 are not used. */
const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8, -1, 0, 0, -1, -1]

function integerOf(type: number, bytes: Buffer): number {
  if (type >= 8) return type - 8
  return type === 6 ? Number(bytes.readBigInt64BE()) : bytes.readIntBE(0, bytes.length)
}

function varint(bytes: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0
  for (let i = 0; i < 8; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) return undefined
    value = value * 128 + (byte & 127)
    if (byte < 128) return value <= Number.MAX_SAFE_INTEGER ? { value, end: start + i + 1 } : undefined
  }
  return undefined
}
