import { SluiceError } from '../../errors.ts'
import type { FieldType, Instant, PointValue } from '../../telemetry.ts'
import { readText } from './text.ts'

/**
 * The columns of one table, in the order of its cells.
 * https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/
 */
export interface Table {
  readonly names: readonly string[]
  readonly types: readonly string[]
}

/** Takes the cells of a row; false ends the reading. */
export type OnRow = (table: Table, cells: readonly string[]) => boolean | void

/**
 * Reads annotated CSV as it arrives: quoted cells may hold anything, records may be cut anywhere, also within a
 * character. Needs the annotations `datatype` and `default`. Error: `store_unavailable` when the server ends its answer
 * with an error, or before the end of a record.
 */
export async function readAnnotatedCsv(chunks: AsyncIterable<Uint8Array>, onRow: OnRow): Promise<void> {
  const decoder = new TextDecoder('utf-8')
  const tables = new TableReader(onRow)
  let rest = ''
  for await (const chunk of chunks) {
    rest = readRecords(rest + decoder.decode(chunk, { stream: true }), tables)
    if (tables.ended) return
  }
  rest += decoder.decode()
  if (rest !== '') rest = readRecords(`${rest}\r\n`, tables)
  if (rest !== '') throw new SluiceError('store_unavailable', "InfluxDB's answer is cut off within a record")
}

/** Hands on whole records; what is left is the beginning of one. */
function readRecords(text: string, tables: TableReader): string {
  let start = 0
  while (!tables.ended) {
    const record = readRecord(text, start)
    if (record === undefined) return text.slice(start)
    tables.take(record.cells)
    start = record.end
  }
  return ''
}

/** The record that begins at `start`; undefined when its end is not there yet. */
function readRecord(text: string, start: number): { cells: string[]; end: number } | undefined {
  const cells: string[] = []
  for (let at = start; ;) {
    let cell: string
    if (text[at] === '"') {
      const end = endOfQuoted(text, at)
      if (end === undefined) return undefined
      // The server's writer ends lines with CR LF, and so does each line of a text; a CR of the text it drops.
      cell = text
        .slice(at + 1, end)
        .replaceAll('""', '"')
        .replaceAll('\r\n', '\n')
      at = end + 1
    } else {
      const end = endOfBare(text, at)
      cell = text.slice(at, end)
      at = end
    }
    cells.push(cell)
    if (text[at] === ',') at++
    else if (text[at] === '\r' && text[at + 1] === '\n') return { cells, end: at + 2 }
    else if (text[at] === '\n') return { cells, end: at + 1 }
    else if (at >= text.length - 1) return undefined
    else throw new SluiceError('store_unavailable', "InfluxDB's answer is not valid CSV")
  }
}

/** Index of the closing quote; undefined when it is not sure to be there yet. */
function endOfQuoted(text: string, open: number): number | undefined {
  for (let at = text.indexOf('"', open + 1); at >= 0; at = text.indexOf('"', at + 2)) {
    if (at + 1 >= text.length) return undefined
    if (text[at + 1] !== '"') return at
  }
  return undefined
}

function endOfBare(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x2c || code === 0x0a || code === 0x0d) return at
  }
  return text.length
}

/** Annotations, header, rows, blank line, and the next table. */
class TableReader {
  readonly #onRow: OnRow
  #types: readonly string[] = []
  #defaults: readonly string[] = []
  #table: Table | undefined
  ended = false

  constructor(onRow: OnRow) {
    this.#onRow = onRow
  }

  take(cells: readonly string[]): void {
    const [first = ''] = cells
    if (cells.length === 1 && first === '') this.#table = undefined
    else if (first.startsWith('#')) {
      this.#table = undefined
      if (first === '#datatype') this.#types = cells
      else if (first === '#default') this.#defaults = ['', ...cells.slice(1)]
    } else if (this.#table === undefined) this.#table = { names: cells, types: this.#types }
    else if (this.#table.names[1] === 'error') {
      throw new SluiceError('store_unavailable', `InfluxDB aborted its answer: ${cells[1]}`)
    } else {
      const row = cells.map((cell, i) => (cell === '' ? (this.#defaults[i] ?? '') : cell))
      if (this.#onRow(this.#table, row) === false) this.ended = true
    }
  }
}

/** The cell of a column by its name. */
export function cellOf({ names }: Table, cells: readonly string[], name: string): string {
  const cell = cells[names.indexOf(name)]
  if (cell === undefined) throw new SluiceError('store_unavailable', `InfluxDB's answer lacks column ${name}`)
  return cell
}

/** What the values of a column of a table are. */
export function typeOf({ names, types }: Table, name: string): FieldType {
  const type = TYPES[types[names.indexOf(name)] ?? '']
  if (type === undefined) throw new SluiceError('store_unavailable', `InfluxDB's answer lacks the type of ${name}`)
  return type
}

const TYPES: Readonly<Record<string, FieldType>> = {
  double: 'float',
  long: 'integer',
  boolean: 'boolean',
  string: 'string',
}

/** Exact: floats are written with all their digits, integers beyond 2^53 become bigint. */
export function parseValue(type: FieldType, text: string): PointValue {
  switch (type) {
    case 'float':
      return parseFloatCell(text)
    case 'integer': {
      const number = Number(text)
      return Number.isSafeInteger(number) ? number : BigInt(text)
    }
    case 'boolean':
      return text === 'true'
    case 'string':
      return readText(text)
  }
}

function parseFloatCell(text: string): number {
  if (text === '+Inf') return Infinity
  return text === '-Inf' ? -Infinity : Number(text)
}

/** RFC 3339 in UTC with up to nine digits of fraction. */
export function parseTime(text: string): Instant {
  const fraction = text.slice(20, -1).padEnd(9, '0')
  const ms = Date.parse(`${text.slice(0, 19)}Z`) + Number(fraction.slice(0, 3))
  if (!Number.isFinite(ms))
    throw new SluiceError('store_unavailable', `InfluxDB's answer has an invalid time "${text}"`)
  return { ms, ns: Number(fraction.slice(3)) }
}
